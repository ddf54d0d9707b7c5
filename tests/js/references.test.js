// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { References } from "../../fcnlab/web/canvas/assets/protocol/references.js";
import { followedMode, isClassMap, OF_ALL, offeredModes, referenceOf } from "../../fcnlab/web/canvas/assets/state/modes.js";
import { Composition } from "../../fcnlab/web/canvas/assets/view/composition.js";
import { difference, DIFFERS } from "../../fcnlab/web/canvas/assets/view/difference.js";
import { CONSTANTS } from "./support/constants.js";
import { imageOf } from "./support/page.js";

const IMAGE = imageOf(1, { width: 6, height: 4, has_imported: true });

/** @param {number[]} values @param {object} [rest] @returns {any} */
const map = (values, rest = {}) => ({
  imageId: 1, mode: "mask", classId: 0, number: 1, covers: 0, width: values.length, height: 1, values: new Uint8Array(values), base: 0,
  patch: { top: 0, left: 0, height: 1, width: values.length }, ...rest,
});

test("an image offers the masks that it has, and the difference to them", () => {
  const plain = imageOf(1);
  const kept = imageOf(1, { keeps_mask: true });

  assert.deepEqual(offeredModes(plain, "in_progress"), OF_ALL);
  assert.deepEqual(offeredModes(plain, "done"), OF_ALL); // nothing is kept yet
  assert.deepEqual(offeredModes(kept, "done"), ["mask", "prediction", "difference"]);
  assert.deepEqual(offeredModes(IMAGE, "new"), [...OF_ALL, "imported", "difference"]);
  assert.deepEqual(offeredModes({ ...IMAGE, keeps_mask: true }, "done"), ["mask", "prediction", "imported", "difference"]);
  assert.deepEqual(offeredModes(null, "new"), OF_ALL);
});

test("images of a project with grades can be shown by the grade to expect, unless they are kept", () => {
  const kept = imageOf(1, { keeps_mask: true });

  assert.deepEqual(offeredModes(imageOf(1), "new", true), [...OF_ALL, "grade"]);
  assert.deepEqual(offeredModes(kept, "done", true), ["mask", "prediction", "difference"]);
  assert.equal(followedMode("grade"), "grade");
  assert.equal(isClassMap("grade"), false);
});

test("the difference is to the imported mask where there is one, and the long poll goes on with the mask", () => {
  assert.equal(referenceOf("difference", IMAGE), "imported");
  assert.equal(referenceOf("difference", imageOf(1, { keeps_mask: true })), "prediction");
  assert.deepEqual(["mask", "probability", "imported"].map((mode) => referenceOf(/** @type {any} */ (mode), IMAGE)), [null, null, "imported"]);
  assert.deepEqual([...OF_ALL, "imported", "prediction", "difference"].map((mode) => followedMode(/** @type {any} */ (mode))), [
    ...OF_ALL, "mask", "mask", "mask",
  ]);
  assert.deepEqual(["imported", "difference"].map((mode) => isClassMap(/** @type {any} */ (mode))), [true, false]);
});

test("masks differ where both know something else; what one does not know counts nowhere", () => {
  const ignore = CONSTANTS.ignore;

  const { values, share, mode } = difference(map([0, 1, 1, ignore, 2]), map([0, 2, 1, 1, ignore]), ignore);

  assert.deepEqual([[...values], share, mode], [[0, DIFFERS, 0, 0, 0], 1 / 3, "difference"]);
  assert.equal(difference(map([ignore]), map([1]), ignore).share, 0);
});

test("masks of two sizes are compared at that of the reference", () => {
  const { width, values } = difference(map([0, 1]), map([0, 1, 1, 1]), CONSTANTS.ignore);

  assert.deepEqual([width, [...values]], [4, [0, DIFFERS, 0, 0]]);
});

test("the difference follows the mask, and a reference of another image or kind is not shown", () => {
  /** @type {any} */
  const stage = { image: IMAGE, overlay: null, shown: [], setOverlay: (overlay) => stage.shown.push((stage.overlay = overlay)), dropOverlay: () => {} };
  const composition = new Composition(stage, CONSTANTS);
  const show = (/** @type {object} */ facts) => composition.update({ image: IMAGE, covers: 0, strokesBeyond: () => [], received: null, mode: "difference", ...facts });
  const imported = map([1, 1], { mode: "imported" });

  show({ received: map([1, 0]) });
  show({ received: map([1, 0]), reference: map([1, 1], { mode: "prediction" }) });
  assert.equal(stage.shown.length, 0, "nothing to compare with yet");
  show({ received: map([1, 0]), reference: imported });
  show({ received: map([1, 1], { number: 2 }), reference: imported });
  assert.deepEqual(stage.shown.map((overlay) => [...overlay.values]), [[0, DIFFERS], [0, 0]]);
  show({ mode: "imported", reference: imported, received: map([1, 0]) });
  assert.equal(stage.overlay.values, imported.values);
});

/** References with their questions and answers in hand. */
function following() {
  /** @type {any[]} */
  const [asked, given, answers] = [[], [], []];
  /** @type {string[]} */
  const troubles = [];
  const references = new References({
    address: (imageId, kind) => `${kind}/${imageId}`,
    onReference: (reference) => given.push(reference && [reference.imageId, reference.mode, [...reference.values]]),
    onTrouble: (message) => troubles.push(message),
    fetch: /** @type {any} */ ((/** @type {string} */ url) => (asked.push(url), new Promise((resolve) => answers.push(resolve)))),
  });
  const response = (/** @type {number[]} */ values) => ({
    ok: true, headers: new Headers({ "X-Fcnlab-Meta": JSON.stringify({ width: values.length, height: 1 }) }), arrayBuffer: async () => new Uint8Array(values).buffer,
  });
  const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
  return { references, asked, given, answers, troubles, response, settle };
}

test("a mask is fetched when it is asked for, and an answer that comes too late is dropped", async () => {
  const { references, asked, given, answers, response, settle } = following();

  references.follow(IMAGE, "mask");
  references.follow(IMAGE, "imported");
  references.follow(IMAGE, "imported");
  references.follow(imageOf(2, { keeps_mask: true }), "prediction");
  answers[0](response([7]));
  answers[1](response([8, 9]));
  await settle();
  assert.deepEqual([asked, given], [["imported/1", "prediction/2"], [null, null, [2, "prediction", [8, 9]]]]);

  references.follow(IMAGE, "imported");
  references.stop();
  answers[2](response([1]));
  await settle();
  assert.equal(given.filter(Boolean).length, 1);
});

test("one mask serves for looking at it and for the difference to it", async () => {
  const { references, asked, given, answers, response, settle } = following();

  references.follow(IMAGE, "imported");
  references.follow(IMAGE, "difference");
  answers[0](response([7]));
  await settle();
  references.follow(IMAGE, "imported");
  assert.deepEqual([asked, given], [["imported/1"], [null, [1, "imported", [7]]]]);

  references.follow(IMAGE, "mask");
  references.follow(IMAGE, "difference");
  assert.equal(asked.length, 2, "what was left is fetched anew: it may have changed");
});

test("a mask that did not come is asked for again when it is chosen again, and not at every click", async () => {
  const { references, asked, troubles, answers, settle } = following();
  const refuse = async (/** @type {number} */ which) => (answers[which]({ ok: false, text: async () => "image 1 has no imported mask" }), settle());

  references.follow(IMAGE, "imported");
  await refuse(0);
  references.follow(IMAGE, "imported");
  assert.deepEqual([asked.length, troubles], [1, ["image 1 has no imported mask"]]);
  references.follow(IMAGE, "difference");
  assert.equal(asked.length, 2);
  await refuse(1);
  references.follow(IMAGE, "mask");
  references.follow(IMAGE, "difference");
  assert.deepEqual([asked.length, troubles.length], [3, 2]);
});
