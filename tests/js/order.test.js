// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { GainOrder } from "../../fcnlab/web/canvas/assets/protocol/order.js";
import { Routes } from "../../fcnlab/web/canvas/assets/protocol/routes.js";

/**
 * What is shown while the server gives these answers, one after the other.
 * @param {({order: number[], waiting: number, ranked: number} | null)[]} answers null: no answer
 */
async function follow(answers) {
  /** @type {[number[] | null, number][]} */
  const shown = [];
  let finish = () => {};
  const finished = new Promise((resolve) => (finish = () => resolve(undefined)));
  const order = new GainOrder({
    routes: new Routes("http://here/", "key"),
    onOrder: (ids, waiting) => shown.push([ids, waiting]),
    fetch: /** @type {any} */ (
      async () => {
        const next = answers.shift();
        if (answers.length === 0) finish();
        if (!next) throw new Error("out of reach");
        return { ok: true, json: async () => next };
      }
    ),
    sleep: () => new Promise((resolve) => (answers.length ? setImmediate(resolve) : null)),
    isHidden: () => false,
  });
  order.start();
  await finished;
  await new Promise((resolve) => setImmediate(resolve));
  return { shown, order };
}

test("while the order is worked out for the first time every news is shown", async () => {
  const { shown } = await follow([
    { order: [1, 2, 3], waiting: 3, ranked: 0 },
    { order: [3, 1, 2], waiting: 1, ranked: 2 },
    { order: [3, 2, 1], waiting: 0, ranked: 3 },
  ]);

  assert.deepEqual(shown, [[[1, 2, 3], 3], [[3, 1, 2], 1], [[3, 2, 1], 0]]);
});

test("later only what is complete is shown, and nothing twice", async () => {
  const { shown } = await follow([
    { order: [3, 2, 1], waiting: 0, ranked: 3 },
    { order: [3, 2, 1], waiting: 0, ranked: 3 },
    { order: [2, 3, 1], waiting: 2, ranked: 3 },
    { order: [2, 1, 3], waiting: 0, ranked: 3 },
  ]);

  assert.deepEqual(shown, [[[3, 2, 1], 0], [[2, 1, 3], 0]]);
});

test("a server out of reach is asked again", async () => {
  const { shown } = await follow([null, { order: [2, 1], waiting: 0, ranked: 3 }]);

  assert.deepEqual(shown, [[[2, 1], 0]]);
});

test("stopping goes back to import order", async () => {
  const { shown, order } = await follow([{ order: [2, 1], waiting: 0, ranked: 3 }]);

  order.stop();

  assert.deepEqual(shown.at(-1), [null, 0]);
});

test("while nothing can be learned the order is not complete, even if nothing waits", async () => {
  const { shown } = await follow([
    { order: [1, 2], waiting: 0, ranked: 0 },
    { order: [1, 2], waiting: 1, ranked: 1 },
    { order: [1, 2], waiting: 0, ranked: 2 },
  ]);

  assert.deepEqual(shown, [[[1, 2], 0], [[1, 2], 1], [[1, 2], 0]]);
});
