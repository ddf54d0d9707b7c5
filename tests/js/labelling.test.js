import assert from "node:assert/strict";
import { test } from "node:test";

import { canReverse } from "../../fcnlab/web/canvas/assets/state/points.js";
import { imageOf, pageOf, sceneOf } from "./support/page.js";
import { settled } from "./support/dom.js";

const POINT = ["earlier:1", 5, 6, 1];

test("a click is shown at once, and stays when the server has stored it", async () => {
  const { labelling, done, stop } = pageOf(sceneOf({ points: [POINT] }));

  labelling.record("add", { row: 3, col: 4, class_id: 1 });
  const shown = labelling.now().points;
  await settled();
  labelling.receive(sceneOf({ points: [POINT, ["client-of-test:1", 3, 4, 1]], acknowledged: { client_id: "client-of-test", seq: 1 } }));

  assert.deepEqual(shown, [POINT, ["client-of-test:1", 3, 4, 1]]);
  assert.deepEqual(labelling.now().points, shown);
  assert.equal(labelling.now().nPending, 0);
  assert.deepEqual(done.sent.map(({ log }) => log.map(({ kind }) => kind)), [["add"]]);
  stop();
});

test("a click the server did not acknowledge stays pending, also when news comes", () => {
  const { labelling, stop } = pageOf();
  labelling.record("add", { row: 3, col: 4, class_id: 1 });

  labelling.receive(sceneOf());
  labelling.receive(sceneOf({ acknowledged: { client_id: "another-tab", seq: 9 } }));

  assert.equal(labelling.now().nPending, 1);
  assert.equal(labelling.now().points.length, 1);
  stop();
});

test("while the next picture is on its way the image shown keeps its points", () => {
  const { labelling, stop } = pageOf(sceneOf({ points: [POINT] }));
  labelling.record("add", { row: 3, col: 4, class_id: 1 });

  labelling.receive(sceneOf({ image: imageOf(2), acknowledged: { client_id: "client-of-test", seq: 1 } }));

  assert.equal(labelling.now().image.id, 1);
  assert.deepEqual(labelling.now().points.map((point) => point.slice(1)), [[5, 6, 1], [3, 4, 1]]);
  labelling.show();
  assert.equal(labelling.now().image.id, 2);
  assert.deepEqual(labelling.now().points, []);
  stop();
});

test("without an image nothing is recorded", () => {
  const { labelling, done, stop } = pageOf(sceneOf({ image: null }));

  labelling.record("add", { row: 3, col: 4, class_id: 1 });

  assert.equal(labelling.log.pending.length, 0);
  assert.deepEqual(done.sent, []);
  stop();
});

test("strokes are counted, the stored and the pending ones of this image", () => {
  const { labelling, stop } = pageOf(sceneOf({ n_strokes: 2 }));

  labelling.record("brush", { class_id: 1, top: 0, left: 0, height: 1, width: 1, runs: [0, 1] });

  assert.equal(labelling.now().nStrokes, 3);
  stop();
});

test("what is pending is the same object until something changes", () => {
  const { labelling, stop } = pageOf();
  const before = labelling.now();

  assert.equal(labelling.now(), before);
  labelling.record("clear");
  assert.notEqual(labelling.now(), before);
  stop();
});

test("undo reaches what is stored and what is pending, and nothing of a done image", () => {
  const { labelling, stop } = pageOf(sceneOf({ reversible: { undo: 1, redo: 0, redo_reopens: false } }));

  assert.equal(canReverse(labelling.now(), "undo"), true);
  labelling.record("undo");
  assert.equal(canReverse(labelling.now(), "undo"), false);
  assert.equal(canReverse(labelling.now(), "redo"), true);
  labelling.record("state", { state: "done" });
  assert.equal(canReverse(labelling.now(), "redo"), false);
  stop();
});

test("an overlay covers the image once it knows the newest event that asks for a mask", () => {
  const { labelling, stop } = pageOf();
  labelling.record("add", { row: 3, col: 4, class_id: 1 });
  labelling.record("class_add", { name: "leaf", colour: "#123456" });

  assert.equal(labelling.isCovered(0), false);
  assert.equal(labelling.isCovered(1), true);
  stop();
});
