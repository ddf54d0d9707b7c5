// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { STEPS, begun, followed, shownOf } from "../../fcnlab/web/help/assets/tour.js";

/** @typedef {import("../../fcnlab/web/help/assets/tour.js").Facts} Facts */

/** @type {Facts} */
const START = { page: "label", image: 1, points: 4, open: 7 };

test("a point that was added, an image that was opened and one that was marked done move the tour on", () => {
  let tour = followed(begun(0, START), { ...START, points: 5 });
  assert.equal(tour.step, 1);
  tour = begun(2, { ...START, points: 5 });
  tour = followed(tour, { ...START, image: 2, points: 0 });
  assert.equal(tour.step, 3);
  tour = followed(tour, { ...START, image: 3, points: 0, open: 6 });
  assert.equal(tour.step, 4);
});

test("nothing else does: a point taken back, another image with more points, one that was reopened", () => {
  const less = followed(begun(0, START), { ...START, points: 3 });
  assert.equal(less.step, 0);
  assert.equal(followed(less, START).step, 1, "the next one counts");
  const other = followed(begun(0, START), { ...START, image: 2, points: 9 });
  assert.equal(other.step, 0);
  assert.equal(followed(other, { ...START, image: 2, points: 10 }).step, 1);
  const reopened = followed(begun(3, START), { ...START, open: 8 });
  assert.equal(reopened.step, 3);
  assert.equal(followed(reopened, START).step, 4);
});

test("who opens the next image while the mask was to be looked at has done that step too", () => {
  assert.equal(followed(begun(1, START), { ...START, image: 2 }).step, 3);
});

test("a step that the tour went back to is not done by what was done before", () => {
  const later = { ...START, image: 2, points: 9, open: 5 };
  for (const step of STEPS.keys()) assert.equal(followed(begun(step, later), later).step, step);
});

test("the tour has five steps and stays within them", () => {
  assert.equal(STEPS.length, 5);
  assert.equal(begun(-1, START).step, 0);
  assert.equal(begun(9, START).step, 4);
});

test("only who has not seen it is offered the tour, and only beside a picture", () => {
  assert.equal(shownOf(null, false, "label").kind, "offer");
  assert.equal(shownOf(null, true, "label").kind, "nothing");
  assert.equal(shownOf(null, false, "export").kind, "nothing");
});

test("on the export page only the last step is shown, and the last one leads there", () => {
  assert.equal(shownOf(begun(3, START), true, "export").kind, "nothing");
  const there = shownOf(begun(4, START), true, "export");
  const here = shownOf(begun(4, START), true, "label");
  assert.ok(there.kind === "step" && !there.leads && !there.hasBack);
  assert.ok(here.kind === "step" && here.leads && here.isLast);
  assert.equal(followed(begun(4, START), { page: "export", image: null, points: 0, open: 0 }).step, 4);
});
