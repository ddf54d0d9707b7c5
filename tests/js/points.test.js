// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { counts, nearest, REACH_PX, replay } from "../../fcnlab/web/canvas/assets/state/points.js";

/** @typedef {import("../../fcnlab/web/canvas/assets/types.js").StoredPoint} StoredPoint */
/** @typedef {import("../../fcnlab/web/canvas/assets/types.js").LabelEvent} LabelEvent */

/** @type {StoredPoint[]} */
const STORED = [
  ["tab-one-1:1", 10, 20, 0],
  ["tab-one-1:2", 30, 5, 1],
];
const uid = (/** @type {number} */ seq) => `tab-two-2:${seq}`;

/** @param {...[import("../../fcnlab/web/canvas/assets/types.js").EventKind, object?, number?]} entries @returns {LabelEvent[]} */
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

test("an imported mask that is used marks its image done at once, and undo never takes that back", () => {
  const after = (/** @type {[LabelEvent["kind"], any?][]} */ ...kinds) => replay(STORED, events(...kinds), 4, "in_progress", uid);

  assert.deepEqual([after(["take", { done: true }]).state, after(["take", { done: false }]).state], ["done", "in_progress"]);
  assert.equal(after(["take", { done: true }]).reversible.undo, 1);
  assert.equal(after(["take", { done: true }], ["state", { state: "in_progress" }], ["undo"], ["redo"]).state, "in_progress");
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

/** @param {number} undo @param {number} redo @param {boolean} [redo_reopens] */
const facts = (undo, redo, redo_reopens = false) => ({ isComplete: false, keepsMask: true, reversible: { undo, redo, redo_reopens } });

test("what undo and redo can still reach is what the server knows and what is pending", () => {
  const reach = (/** @type {LabelEvent[]} */ pending) => replay(STORED, pending, 4, "in_progress", uid, facts(1, 2)).reversible;

  assert.deepEqual(reach([]), { undo: 1, redo: 2, redo_reopens: false });
  assert.deepEqual(reach(events(["undo"])), { undo: 0, redo: 3, redo_reopens: false });
  assert.deepEqual(reach(events(["undo"], ["undo"])), { undo: 0, redo: 3, redo_reopens: false });
  assert.deepEqual(reach(events(["redo"], ["brush"])), { undo: 3, redo: 0, redo_reopens: false });
  assert.deepEqual(reach(events(["state", { state: "done" }], ["add", ADD, 5])), { undo: 1, redo: 2, redo_reopens: false });
});

test("reopening an image that keeps its mask is a step that undo takes back and redo makes again", () => {
  const open = /** @type {const} */ (["state", { state: "in_progress" }]);
  const after = (/** @type {LabelEvent[]} */ pending) => replay(STORED, pending, 4, "done", uid, facts(3, 0));

  assert.equal(after(events(open)).state, "in_progress");
  assert.equal(after(events(open)).reversible.undo, 4);
  assert.deepEqual([after(events(open, ["undo"])).state, after(events(open, ["undo"])).reversible.redo_reopens], ["done", true]);
  assert.equal(after(events(open, ["undo"], ["redo"])).state, "in_progress");
  assert.equal(after(events(open, ["add", ADD], ["undo"])).state, "in_progress");
});

test("objects accepted at once are one step, with what was said of all of them", () => {
  const accept = /** @type {const} */ (["accept", { points: [[1, 2, 1], [3, 4, 1]], complete: true }]);
  const after = (/** @type {LabelEvent[]} */ pending) => replay(STORED, pending, 4, "in_progress", uid, facts(0, 0));

  assert.deepEqual(after(events(accept)).points.slice(2), [["tab-two-2:1.1", 1, 2, 1], ["tab-two-2:1.2", 3, 4, 1]]);
  assert.equal(after(events(accept)).isComplete, true);
  assert.deepEqual(after(events(accept, ["undo"])).points, STORED);
  assert.equal(after(events(accept, ["undo"])).isComplete, false);
  assert.equal(counts([{ id: 1, n_points: 2 }], [], [], events([...accept, 5]), 4).get(1), 4);
});
