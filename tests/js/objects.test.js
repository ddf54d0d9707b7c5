// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { fits } from "../../fcnlab/web/canvas/assets/view/numbers.js";
import { leastSure, meant, pixelOf, readCounts, readObjects, spacing, standing } from "../../fcnlab/web/canvas/assets/state/objects.js";
import { replay } from "../../fcnlab/web/canvas/assets/state/points.js";
import { amount, firstCounts, tally } from "../../fcnlab/web/canvas/assets/widgets/messages.js";

/** @typedef {import("../../fcnlab/web/canvas/assets/types.js").Found} Found */
/** @typedef {import("../../fcnlab/web/canvas/assets/types.js").StoredPoint} StoredPoint */

const IMAGE = { width: 300, height: 200 };
const VIEW = { scale: 2, x: 10, y: 20 };

/** @param {number} row @param {number} col @param {Partial<Found>} [rest] @returns {Found} */
const found = (row, col, rest = {}) => ({ row, col, classId: 1, number: 1, score: 0.5, isMarked: false, ...rest });

test("objects are read as they are sent, and what is none is left out", () => {
  const sent = [[4.5, 90, 1, 1, 0.75, true], null, [1, 2], ["x", 2, 1, 2, 1, false], [7, 8, 2, 3, null, 0]];

  assert.deepEqual(readObjects(sent), [
    { row: 4.5, col: 90, classId: 1, number: 1, score: 0.75, isMarked: true },
    { row: 7, col: 8, classId: 2, number: 3, score: 0, isMarked: false },
  ]);
  assert.deepEqual(readObjects(undefined), []);
});

test("counts are read by class, with or without an interval", () => {
  const counts = readCounts([
    { class_id: 1, marked: 12, count: 48.2, low: 44, high: 52, is_exact: false },
    { class_id: 2, marked: 3, count: 3, is_exact: true },
    { class_id: "x", count: 1 },
    null,
  ]);

  assert.deepEqual([...counts.keys()], [1, 2]);
  assert.deepEqual(counts.get(2), { classId: 2, marked: 3, count: 3, low: null, high: null, isExact: true });
  assert.equal(counts.get(1)?.high, 52);
});

test("a point on the centre of an object is an answer, of the background a no", () => {
  const objects = [found(10.4, 20.6), found(50, 60), found(199.4, -0.3), found(90, 90, { isMarked: true })];
  /** @type {StoredPoint[]} */
  const points = [["a", 10, 21, 2], ["b", 50, 60, 0], ["c", 199, 0, 1], ["d", 51, 60, 1]];

  assert.deepEqual(standing(objects, points, 0, IMAGE), ["marked", "rejected", "marked", "marked"]);
  assert.deepEqual(standing(objects, [], 0, IMAGE), ["open", "open", "open", "marked"]);
});

test("the centre of an object is a pixel of the image, also at its edge", () => {
  assert.deepEqual(pixelOf({ row: 199.6, col: 299.9 }, IMAGE), { row: 199, col: 299 });
  assert.deepEqual(pixelOf({ row: -0.4, col: 0.49 }, IMAGE), { row: 0, col: 0 });
});

test("the usual distance is the one to the nearest other object, whatever their order", () => {
  const line = [found(0, 0), found(0, 10), found(3, 14), found(100, 100)];

  assert.equal(spacing(line), 10);
  assert.equal(spacing([...line].reverse()), 10);
  assert.equal(spacing([found(0, 0)]), Infinity);
  assert.equal(spacing([]), Infinity);
});

test("an object is meant by the nearest cursor, as far as a third of the way to the next", () => {
  const near = found(10, 10, { number: 1 });
  const far = found(10, 40, { number: 2 });
  const at = (/** @type {number} */ col) => [(col + 0.5) * VIEW.scale + VIEW.x, (10 + 0.5) * VIEW.scale + VIEW.y];

  assert.equal(meant([near, far], VIEW, at(17)[0], at(17)[1], 3)?.number, 1);
  assert.equal(meant([near, far], VIEW, at(24)[0], at(24)[1], 3), null);
  assert.equal(meant([near, far], VIEW, at(26)[0], at(26)[1], 60)?.number, 2);
  assert.equal(meant([near], VIEW, at(10)[0], at(10)[1], Infinity)?.number, 1);
});

test("the least sure object comes next, and none that was looked at before, even counted anew a little aside", () => {
  const open = [found(10, 10, { score: 0.9 }), found(50, 50, { score: 0.2 }), found(90, 90, { score: 0.4 })];

  assert.equal(leastSure(open, [], 40)?.score, 0.2);
  assert.equal(leastSure(open, [{ row: 51, col: 49 }], 40)?.score, 0.4);
  assert.equal(leastSure(open, open, 40), null);
  assert.equal(leastSure([], [], Infinity), null);
});

test("numbers are hidden where the next object is nearer than they are wide", () => {
  assert.equal(fits(10, 2, 9), true);
  assert.equal(fits(10, 1, 999), false);
  assert.equal(fits(Infinity, 0.01, 1), true);
});

test("all marked is what was said last of this image, pending events included", () => {
  /** @param {number} seq @param {number} image_id @param {boolean} complete */
  const said = (seq, image_id, complete) => ({ seq, kind: /** @type {const} */ ("complete"), image_id, payload: { complete } });
  /** @param {boolean} isComplete @param {any[]} pending */
  const completeness = (isComplete, pending) =>
    replay([], pending, 7, "in_progress", String, { isComplete, keepsMask: false, reversible: { undo: 0, redo: 0, redo_reopens: false } }).isComplete;

  assert.equal(completeness(false, []), false);
  assert.equal(completeness(false, [said(1, 7, true), said(2, 8, false)]), true);
  assert.equal(completeness(true, [said(1, 7, true), said(2, 7, false)]), false);
});

test("the class bar says what is marked, what was counted, and how sure that is", () => {
  const counted = { classId: 1, marked: 12, count: 48.2, low: 44, high: 52, isExact: false };
  const open = { isObject: true, isComplete: false };

  assert.equal(tally(12, counted, open).text, "12 marked, 48 counted (44\u201352)");
  assert.equal(tally(0, { ...counted, low: null, high: null, count: 2.46 }, open).text, "0 marked, 2.5 counted");
  assert.equal(tally(12, null, open).text, "12 marked");
  assert.equal(tally(13, counted, { isObject: true, isComplete: true }).text, "13 marked, all");
  assert.match(tally(13, counted, { isObject: true, isComplete: true }).title, /the counter found 48/);
  assert.equal(tally(0, counted, { isObject: true, isComplete: true }).text, "none here");
  assert.equal(tally(1, null, { isObject: false, isComplete: false }).text, "1 point");
});

test("counts are whole unless they are small and are not", () => {
  assert.deepEqual([0, 2.02, 2.46, 9.96, 48.4].map(amount), ["0", "2", "2.5", "10", "48"]);
});

test("the first steps of a counting project name what is counted", () => {
  const label = { id: 1, name: "cell", colour: "#fff", n_points: 0, is_background: false };

  assert.match(firstCounts([{ ...label, id: 0, name: "background", is_background: true }, label])[0], /cell/);
  assert.match(firstCounts([{ ...label, id: 0, is_background: true }])[0], /Add a class/);
});
