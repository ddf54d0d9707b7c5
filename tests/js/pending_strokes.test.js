// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { FreshStrokes } from "../../fcnlab/web/canvas/assets/state/pending_strokes.js";
import { CONSTANTS } from "./support/constants.js";

/** @typedef {import("../../fcnlab/web/canvas/assets/types.js").EventKind} EventKind */

/** Strokes are told apart by their top row, which is the number of their event. @param {...EventKind} kinds */
function after(...kinds) {
  const fresh = new FreshStrokes(CONSTANTS.undoable);
  kinds.forEach((kind, k) => {
    const stroke = { class_id: 1, top: k + 1, left: 0, height: 1, width: 2, runs: [0, 2] };
    fresh.note({ seq: k + 1, kind, image_id: 4, payload: kind === "brush" ? stroke : {} });
  });
  return fresh;
}

const tops = (/** @type {FreshStrokes} */ fresh, covers = 0) => fresh.beyond(covers).map(({ stroke }) => stroke.top);

test("strokes are shown, oldest first, until an overlay has them", () => {
  const fresh = after("brush", "add", "brush");

  assert.deepEqual(tops(fresh), [1, 3]);
  assert.deepEqual(tops(fresh, 1), [3]);
  assert.deepEqual(tops(fresh, 3), []);
});

test("undo takes back what came last, a click or a stroke, and redo gives it back", () => {
  assert.deepEqual(tops(after("brush", "brush", "undo")), [1]);
  assert.deepEqual(tops(after("brush", "add", "undo")), [1]);
  assert.deepEqual(tops(after("brush", "add", "undo", "undo")), []);
  assert.deepEqual(tops(after("brush", "brush", "undo", "undo", "redo")), [1]);
});

test("a new event ends redo", () => {
  assert.deepEqual(tops(after("brush", "undo", "add", "redo")), []);
});

test("clear takes all strokes, and undo brings them back", () => {
  assert.deepEqual(tops(after("brush", "brush", "clear")), []);
  assert.deepEqual(tops(after("brush", "brush", "clear", "undo")), [1, 2]);
});

test("undo of what nobody here knows changes nothing", () => {
  assert.deepEqual(tops(after("undo", "redo", "brush")), [3]);
});

test("another image begins with nothing", () => {
  const fresh = after("brush");

  fresh.forget();

  assert.deepEqual(tops(fresh), []);
});
