import assert from "node:assert/strict";
import { test } from "node:test";

import { composed, Composition, sideOfMask } from "../../fcnlab/web/canvas/assets/view/composition.js";
import { CONSTANTS } from "./support/constants.js";
import { imageOf } from "./support/page.js";

const IMAGE = imageOf(1, { width: 6, height: 4 });

/** A mask of the server, all of one class. */
const maskOf = (number, rest = {}) => ({
  imageId: 1, mode: "mask", classId: 0, number, covers: number, width: 6, height: 4, values: new Uint8Array(24).fill(2), base: 0,
  patch: { top: 0, left: 0, height: 4, width: 6 }, ...rest,
});

/** The first pixel of a row, painted by event `seq`. */
const stroke = (seq, row, classId = 1) => ({ seq, stroke: { class_id: classId, top: row, left: 0, height: 1, width: 1, runs: [0, 1] } });

/** A stage that counts what it is given. */
function composing() {
  const stage = { image: IMAGE, overlay: null, shown: [], setOverlay: (overlay) => stage.shown.push((stage.overlay = overlay)), dropOverlay: () => stage.shown.push((stage.overlay = null)) };
  const composition = new Composition(stage, CONSTANTS);
  const strokes = [];
  const facts = { image: IMAGE, mode: "mask", received: null, covers: 0, strokesBeyond: (covers) => strokes.filter(({ seq }) => seq > covers) };
  const update = (change = {}) => composition.update(Object.assign(facts, change));
  return { stage, strokes, update };
}

test("the server's mask is shown as it is while nothing is pending: its memory is what is drawn from", () => {
  const mask = maskOf(1);

  assert.equal(composed(mask, [], IMAGE, CONSTANTS), mask);
});

test("a pending stroke lies over the mask, and the eraser leaves nothing there", () => {
  const mask = maskOf(1);

  const { values, number } = composed(mask, [stroke(2, 0), stroke(3, 1, null)], IMAGE, CONSTANTS);

  assert.deepEqual([values[0], values[6], values[12], number], [1, 255, 2, 1]);
  assert.equal(mask.values[0], 2);
});

test("without a mask a stroke lies on a blank one; a mask of one pixel is none", () => {
  const empty = maskOf(4, { width: 1, height: 1, values: new Uint8Array(1) });
  for (const [base, number] of [[null, 0], [empty, 4]]) {
    const overlay = composed(base, [stroke(5, 0)], IMAGE, CONSTANTS);

    assert.deepEqual([overlay.width, overlay.height, overlay.number, overlay.values[0], overlay.values[1]], [6, 4, number, 1, 255]);
  }
  assert.equal(composed(null, [], IMAGE, CONSTANTS), null);
});

test("a stroke is shown at once, and stays without a flicker until the mask has it", () => {
  const { stage, strokes, update } = composing();
  update({ received: maskOf(1) });
  strokes.push(stroke(2, 0));
  update();
  update({ received: maskOf(3, { covers: 1 }) }); // a mask that does not know the stroke yet
  update({ received: maskOf(4, { covers: 2, values: new Uint8Array(24).fill(7) }) });

  assert.deepEqual(stage.shown.map(({ values }) => values[0]), [2, 1, 1, 7]);
  assert.equal(stage.overlay.number, 4);
});

test("nothing is drawn again while neither mask nor strokes change", () => {
  const { stage, strokes, update } = composing();
  strokes.push(stroke(2, 0));
  update({ received: maskOf(1) });
  update();
  update();

  assert.equal(stage.shown.length, 1);
  stage.overlay = null; // dropped
  update();
  assert.equal(stage.shown.length, 2);
});

test("a blank mask vanishes with the stroke on it", () => {
  const { stage, strokes, update } = composing();
  strokes.push(stroke(2, 0));
  update();
  strokes.pop();
  update();

  assert.equal(stage.overlay, null);
});

test("masks of another image or another kind are not shown, and heat maps carry no strokes", () => {
  const { stage, strokes, update } = composing();
  strokes.push(stroke(2, 0));

  update({ mode: "probability", received: maskOf(1) });
  update({ received: maskOf(1, { imageId: 2, mode: "probability" }) });
  assert.deepEqual(stage.shown, []);
  update({ received: maskOf(1, { mode: "probability", values: new Uint8Array(24).fill(9) }) });
  assert.equal(stage.overlay.values[0], 9);
});

test("while the picture is not there nothing is laid over it", () => {
  const { stage, update } = composing();
  stage.image = imageOf(2);

  update({ received: maskOf(1) });

  assert.deepEqual(stage.shown, []);
});

test("the side of a mask is that of the one received, else what it will be at most", () => {
  const image = imageOf(1, { width: 3000, height: 4000 });

  assert.equal(sideOfMask(null, image, 1536), 1536);
  assert.equal(sideOfMask(null, IMAGE, 1536), 6);
  assert.equal(sideOfMask(maskOf(1, { width: 750, height: 1000 }), image, 1536), 1000);
  assert.equal(sideOfMask(maskOf(1, { width: 1, height: 1 }), image, 1536), 1536);
  assert.equal(sideOfMask(maskOf(1, { imageId: 2 }), image, 1536), 1536);
});
