// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { counts, nearest, REACH_PX, replay } from "../../fcnlab/ui/canvas_assets/points.js";

/** @typedef {import("../../fcnlab/ui/canvas_assets/types.js").StoredPoint} StoredPoint */
/** @typedef {import("../../fcnlab/ui/canvas_assets/types.js").LabelEvent} LabelEvent */

/** @type {StoredPoint[]} */
const STORED = [
  ["tab-one-1:1", 10, 20, 0],
  ["tab-one-1:2", 30, 5, 1],
];
const uid = (/** @type {number} */ seq) => `tab-two-2:${seq}`;

/** @param {...[import("../../fcnlab/ui/canvas_assets/types.js").EventKind, object?, number?]} entries @returns {LabelEvent[]} */
function events(...entries) {
  return entries.map(([kind, payload = {}, image_id = 4], k) => ({ seq: k + 1, kind, image_id, payload }));
}

const ADD = { row: 7, col: 8, class_id: 1 };

/** @param {LabelEvent[]} pending */
const shown = (pending) => replay(STORED, pending, 4, "new", uid).points;

test("nothing pending shows what is stored", () => {
  assert.deepEqual(shown([]), STORED);
});

test("an added point carries the name it will have in the database", () => {
  assert.deepEqual(shown(events(["add", ADD])), [...STORED, ["tab-two-2:1", 7, 8, 1]]);
});

test("a pending point can be removed", () => {
  assert.deepEqual(shown(events(["add", ADD], ["remove", { uid: "tab-two-2:1" }])), STORED);
});

test("undo takes back add, remove and clear", () => {
  for (const [kind, payload] of /** @type {const} */ ([["add", ADD], ["remove", { uid: "tab-one-1:2" }], ["clear", {}]])) {
    assert.notDeepEqual(shown(events([kind, payload])), STORED);
    assert.deepEqual(shown(events([kind, payload], ["undo"])), STORED);
    assert.deepEqual(shown(events([kind, payload], ["undo"], ["redo"])), shown(events([kind, payload])));
  }
});

test("undo of what is stored waits for the server", () => {
  assert.deepEqual(shown(events(["undo"])), STORED);
  assert.deepEqual(shown(events(["redo"])), STORED);
});

test("a new event ends redo", () => {
  const pending = events(["add", ADD], ["undo"], ["add", { ...ADD, row: 9 }], ["redo"]);

  assert.deepEqual(shown(pending).map((point) => point[1]), [10, 30, 9]);
});

test("events of other images change nothing here", () => {
  assert.deepEqual(shown(events(["add", ADD, 5], ["clear", {}, 5])), STORED);
  assert.equal(replay(STORED, events(["state", { state: "done" }, 5]), 4, "new", uid).state, "new");
});

test("done shows at once", () => {
  assert.equal(replay(STORED, events(["state", { state: "done" }]), 4, "in_progress", uid).state, "done");
});

test("the stored points are never changed", () => {
  const before = structuredClone(STORED);

  shown(events(["add", ADD], ["clear"], ["undo"], ["remove", { uid: "tab-one-1:1" }]));

  assert.deepEqual(STORED, before);
});

test("class counts hold what is stored elsewhere, shown here and pending elsewhere", () => {
  const classes = [{ id: 0, n_points: 6 }, { id: 1, n_points: 1 }];
  const pending = events(["add", ADD], ["remove", { uid: "tab-one-1:1" }], ["add", ADD, 9]);

  const total = counts(classes, STORED, shown(pending), pending, 4);

  assert.deepEqual([...total], [[0, 5], [1, 3]]);
});

test("the nearest point is measured on the screen and has a reach", () => {
  const view = { scale: 4, x: 100, y: -50 };
  const at = { sx: 20.5 * 4 + 100, sy: 10.5 * 4 - 50 };

  assert.equal(nearest(STORED, view, at.sx + REACH_PX, at.sy)?.[0], "tab-one-1:1");
  assert.equal(nearest(STORED, view, at.sx + REACH_PX + 0.1, at.sy), null);
  assert.equal(nearest([], view, 0, 0), null);
});
