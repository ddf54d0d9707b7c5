// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Walk } from "../../fcnlab/web/canvas/assets/state/walk.js";

/** @param {number} n @param {number} [row] @returns {import("../../fcnlab/web/canvas/assets/tools/query.js").Query[]} */
const pixels = (n, row = 0) => Array.from({ length: n }, (_, col) => ({ row, col, source: /** @type {const} */ ("query") }));

function walking() {
  const walk = new Walk();
  walk.extend(pixels(3));
  return walk;
}

test("one pixel is asked after the other, then the round is over", () => {
  const walk = walking();
  const asked = [];
  while (walk.current) {
    asked.push([walk.current.col, walk.place()]);
    walk.go("answer");
  }

  assert.deepEqual(asked, [0, 1, 2].map((col) => [col, { number: col + 1, of: 3 }]));
});

test("the tally counts what was done in the round that is over", () => {
  const walk = walking();
  for (const act of /** @type {const} */ (["answer", "skip", "unsure"])) walk.go(act);
  walk.extend(pixels(4, 1));
  for (const act of /** @type {const} */ (["answer", "answer", "answer", "skip"])) walk.go(act);

  assert.deepEqual(walk.tally(), { answer: 3, skip: 1, unsure: 0 });
});

test("a further round counts from one again", () => {
  const walk = walking();
  for (let n = 0; n < 3; n += 1) walk.go("answer");
  walk.extend(pixels(4, 1));

  assert.deepEqual(walk.place(), { number: 1, of: 4 });
  assert.equal(walk.current?.row, 1);
});

test("back goes to the pixel before, also into the round before, and no further than the first", () => {
  const walk = walking();
  for (const act of /** @type {const} */ (["answer", "skip", "unsure"])) walk.go(act);
  walk.extend(pixels(4, 1));

  assert.equal(walk.back(), "unsure");
  assert.deepEqual(walk.place(), { number: 3, of: 3 });
  assert.equal(walk.back(), "skip");
  assert.equal(walk.back(), "answer");
  assert.equal(walk.back(), null);
  assert.deepEqual(walk.current, pixels(1)[0]);
});

test("forward does again what back took back, until something else is done", () => {
  const walk = walking();
  walk.go("answer");
  walk.go("skip");
  walk.back();
  walk.back();

  assert.equal(walk.forward(), "answer");
  assert.deepEqual(walk.place(), { number: 2, of: 3 });
  walk.go("unsure");
  assert.equal(walk.forward(), null);
  assert.deepEqual(walk.acts, ["answer", "unsure"]);
});

test("only skipped and unsure pixels are passed over", () => {
  const walk = walking();
  for (const act of /** @type {const} */ (["skip", "answer", "unsure"])) walk.go(act);

  assert.deepEqual(walk.passed().map(({ col }) => col), [0, 2]);
  walk.back();
  assert.deepEqual(walk.passed().map(({ col }) => col), [0]);
});

test("asking otherwise forgets what was not asked and keeps what was done", () => {
  const walk = walking();
  walk.go("answer");
  walk.cut();

  assert.equal(walk.current, null);
  walk.extend(pixels(2, 5));
  assert.deepEqual(walk.current, pixels(1, 5)[0]);
  assert.deepEqual(walk.place(), { number: 1, of: 2 });
  assert.equal(walk.back(), "answer"); // the pixel answered before, not one of the new ones
  assert.deepEqual(walk.current, pixels(1)[0]);
});

test("asking otherwise before the first answer leaves no empty round", () => {
  const walk = walking();
  walk.cut();
  walk.extend(pixels(2, 5));

  assert.deepEqual(walk.place(), { number: 1, of: 2 });
});
