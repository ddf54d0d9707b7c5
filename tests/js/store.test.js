// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { memoized, Store } from "../../fcnlab/web/canvas/assets/state/store.js";

test("who named what changed is told, once for a change of several keys", () => {
  const store = new Store({ cursor: 1, tool: "a", meta: 0 });
  /** @type {object[]} */
  const told = [];
  store.subscribe(["cursor", "tool"], (state) => told.push(state));

  store.set({ cursor: 2, tool: "b" });
  store.set({ meta: 5 });

  assert.deepEqual(told, [{ cursor: 2, tool: "b", meta: 0 }]);
  assert.equal(store.state.meta, 5);
});

test("the same value again is no change", () => {
  const store = new Store({ view: { scale: 1 }, tool: "a" });
  let n = 0;
  store.subscribe(["view", "tool"], () => (n += 1));

  store.set({ view: store.state.view, tool: "a" });

  assert.equal(n, 0);
});

test("a change made by a listener is seen at once, and told after all know of the one before", () => {
  const store = new Store({ display: "mask", tool: "brush" });
  /** @type {string[]} */
  const told = [];
  store.subscribe(["display"], () => {
    store.set({ tool: "points" });
    told.push(`first: ${store.state.tool}`);
  });
  store.subscribe(["display", "tool"], ({ display, tool }) => told.push(`second: ${display} ${tool}`));
  store.subscribe(["tool"], ({ tool }) => told.push(`third: ${tool}`));

  store.set({ display: "probability" });

  assert.deepEqual(told, ["first: points", "second: probability points", "second: probability points", "third: points"]);
});

test("a subscription ends", () => {
  const store = new Store({ tool: "a" });
  let n = 0;
  const end = store.subscribe(["tool"], () => (n += 1));

  store.set({ tool: "b" });
  end();
  store.set({ tool: "c" });

  assert.equal(n, 1);
});

test("a listener that fails does not keep later changes from being told", () => {
  const store = new Store({ tool: "a" });
  /** @type {string[]} */
  const told = [];
  store.subscribe(["tool"], ({ tool }) => {
    told.push(tool);
    if (tool === "b") throw new Error("a fault in drawing");
  });

  assert.throws(() => store.set({ tool: "b" }), /a fault in drawing/);
  store.set({ tool: "c" });

  assert.deepEqual(told, ["b", "c"]);
});

test("a memoized result is worked out anew only for other arguments", () => {
  let n = 0;
  const pair = memoized((/** @type {number[]} */ list, /** @type {number} */ k) => ((n += 1), [list[k], k]));
  const list = [7, 8];

  assert.equal(pair(list, 0), pair(list, 0));
  assert.deepEqual(pair(list, 1), [8, 1]);
  assert.deepEqual(pair([9, 9], 1), [9, 1]);
  assert.equal(n, 3);
});
