// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { applied, joined } from "../../fcnlab/web/canvas/assets/protocol/patches.js";

/** @param {object} change @returns {import("../../fcnlab/web/canvas/assets/types.js").Meta} */
function meta(change) {
  const plain = { overlay: 8, status: 1, phase: /** @type {const} */ ("idle"), progress: 1, message: "", milliseconds: 9, spans: {} };
  return { ...plain, updated_at: null, width: 4, height: 3, covers: 0, shown_done: false, base: 0, ...change };
}

test("the whole takes the place of what is held", () => {
  const held = { number: 7, values: new Uint8Array(12) };
  const values = new Uint8Array(12).fill(2);

  const now = applied(held, meta({ box: [0, 0, 3, 4] }), values);

  assert.equal(now?.values, values);
  assert.deepEqual(now?.patch, { top: 0, left: 0, height: 3, width: 4 });
});

test("a box is written into the map it follows, in the same memory", () => {
  const held = { number: 7, values: new Uint8Array(12).fill(1) };

  const now = applied(held, meta({ base: 7, box: [1, 2, 2, 2] }), new Uint8Array([5, 6, 7, 8]));

  assert.equal(now?.values, held.values);
  assert.deepEqual([...held.values], [1, 1, 1, 1, 1, 1, 5, 6, 1, 1, 7, 8]);
  assert.deepEqual([now?.base, now?.patch], [7, { top: 1, left: 2, height: 2, width: 2 }]);
});

test("nothing new is a box of nothing", () => {
  const held = { number: 7, values: new Uint8Array([3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]) };

  const now = applied(held, meta({ base: 7, box: [0, 0, 0, 0] }), new Uint8Array(0));

  assert.equal(now?.values, held.values);
});

for (const [what, held, change, length] of /** @type {const} */ ([
  ["another map", { number: 6, size: 12 }, { base: 7, box: [0, 0, 1, 2] }, 2],
  ["none", null, { base: 7, box: [0, 0, 1, 2] }, 2],
  ["one of another size", { number: 7, size: 6 }, { base: 7, box: [0, 0, 1, 2] }, 2],
  ["one that ends before the box does", { number: 7, size: 12 }, { base: 7, box: [2, 0, 2, 2] }, 4],
])) {
  test(`a box is refused by ${what}`, () => {
    const own = held && { number: held.number, values: new Uint8Array(held.size) };

    assert.equal(applied(own, meta(change), new Uint8Array(length).fill(9)), null);
    assert.ok(!own?.values.some(Boolean));
  });
}

test("values that are not those of their box are refused", () => {
  assert.equal(applied(null, meta({ box: [0, 0, 3, 4] }), new Uint8Array(11)), null);
  assert.equal(applied(null, meta({ box: [0, 0, 1, 4] }), new Uint8Array(4)), null);
});

test("joined boxes hold both, and nothing adds nothing", () => {
  const one = { top: 2, left: 5, height: 3, width: 1 };
  const other = { top: 4, left: 1, height: 4, width: 2 };
  const nothing = { top: 0, left: 0, height: 0, width: 0 };

  assert.deepEqual(joined(one, other), { top: 2, left: 1, height: 6, width: 5 });
  assert.deepEqual(joined(nothing, one), one);
  assert.deepEqual(joined(one, nothing), one);
  assert.deepEqual(joined(null, one), one);
});
