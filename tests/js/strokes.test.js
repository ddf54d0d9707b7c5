// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { blank, middles, paintedOver, patchOf, runsOf, strokeOf, swept } from "../../fcnlab/web/canvas/assets/state/strokes.js";
import { CONSTANTS } from "./support/constants.js";

/** @typedef {import("../../fcnlab/web/canvas/assets/types.js").Stroke} Stroke */

const PICTURE = { width: 37, height: 24 };

/** A generator of even numbers in 0..1, always the same ones. @param {number} seed */
function dice(seed) {
  let state = seed * 2654435761 + 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** @param {{x: number, y: number}[]} path @param {number} x @param {number} y */
function distance(path, x, y) {
  return Math.min(
    ...path.map((end, k) => {
      const start = path[Math.max(0, k - 1)];
      const [dx, dy] = [end.x - start.x, end.y - start.y];
      const square = dx * dx + dy * dy;
      const part = square ? Math.min(1, Math.max(0, ((x - start.x) * dx + (y - start.y) * dy) / square)) : 0;
      return Math.hypot(start.x + part * dx - x, start.y + part * dy - y);
    }),
  );
}

/** Every pixel of the picture a patch covers. @param {import("../../fcnlab/web/canvas/assets/state/strokes.js").Patch | "too large" | null} patch */
function pixels(patch) {
  const found = new Set();
  if (!patch || patch === "too large") return found;
  patch.inside.forEach((value, at) => {
    if (value) found.add(`${patch.top + Math.floor(at / patch.width)} ${patch.left + (at % patch.width)}`);
  });
  return found;
}

/** Lines to and fro between two columns of verticals, so that every row has many runs. @param {number} side */
function zigzag(side) {
  return Array.from({ length: side }, (_, k) => ({ x: 2 * Math.floor(k / 2), y: [0, side, side, 0][k % 4] }));
}

test("a stroke covers the pixels whose middle is within reach of the way, and no others", () => {
  for (let seed = 0; seed < 30; seed += 1) {
    const roll = dice(seed);
    const path = Array.from({ length: 1 + Math.floor(roll() * 6) }, () => ({ x: roll() * 45 - 4, y: roll() * 30 - 3 }));
    const diameter = 2 + roll() * 9;

    const found = pixels(swept(path, diameter, PICTURE));

    for (let row = 0; row < PICTURE.height; row += 1) {
      for (let col = 0; col < PICTURE.width; col += 1) {
        const away = distance(path, col + 0.5, row + 0.5) - diameter / 2;
        if (Math.abs(away) > 1e-9) assert.equal(found.has(`${row} ${col}`), away < 0, `seed ${seed}: ${row}, ${col}`);
      }
    }
  }
});

test("the thinnest brush paints the pixel it is in, wherever in it", () => {
  for (const [x, y] of [[5.01, 7.01], [5.5, 7.5], [5.99, 7.99]]) {
    assert.deepEqual([...pixels(swept([{ x, y }], 1, PICTURE))], ["7 5"]);
  }
});

test("a line of the thinnest brush has no gap", () => {
  const found = pixels(swept([{ x: 1.2, y: 1.7 }, { x: 30.1, y: 19.4 }], 1, PICTURE));

  for (let col = 1; col <= 30; col += 1) assert.ok([...found].some((one) => one.endsWith(` ${col}`)), `column ${col}`);
});

test("what lies outside the picture is cut off, and all of it outside is nothing", () => {
  const corner = swept([{ x: 36.9, y: 23.9 }], 6, PICTURE);

  assert.ok(corner && corner !== "too large");
  assert.deepEqual([corner.top + corner.height, corner.left + corner.width], [24, 37]);
  assert.equal(swept([{ x: -20, y: 5 }], 6, PICTURE), null);
  assert.equal(swept([{ x: 5, y: 60 }], 6, PICTURE), null);
});

test("a stroke too large to be kept says so, and is not taken for none", () => {
  const large = { width: 12_001, height: 12_000 };
  const across = [{ x: 5, y: 5 }, { x: 11_990, y: 11_980 }];

  assert.equal(strokeOf(across, 9, large, 1, CONSTANTS), "too large");
  assert.equal(strokeOf(zigzag(800), 1, large, 1, CONSTANTS), "too large");
  assert.equal(strokeOf([{ x: -50, y: 5 }], 9, large, 1, CONSTANTS), null);
  const kept = strokeOf(across.map(({ x, y }) => ({ x: x / 100, y: y / 100 })), 9, large, null, CONSTANTS);
  assert.ok(kept && kept !== "too large");
  assert.equal(kept.class_id, null);
  assert.equal(kept.runs.reduce((sum, length) => sum + length, 0), kept.height * kept.width);
});

test("runs tell the pixels apart and give them back", () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const roll = dice(seed);
    const inside = Uint8Array.from({ length: 7 * 11 }, () => Number(roll() < 0.5));
    inside[Math.floor(roll() * 77)] = 1;

    const runs = runsOf(inside);

    assert.equal(runs.reduce((sum, length) => sum + length, 0), 77);
    assert.ok(runs.slice(1).every((length) => length > 0));
    assert.deepEqual(patchOf({ class_id: 1, top: 0, left: 0, height: 7, width: 11, runs }).inside, inside);
  }
});

test("runs begin outside, with none when the first pixel is inside", () => {
  assert.deepEqual(runsOf(Uint8Array.of(1, 1, 0)), [0, 2, 1]);
  assert.deepEqual(runsOf(Uint8Array.of(0, 1)), [1, 1]);
  assert.deepEqual(runsOf(Uint8Array.of(1)), [0, 1]);
});

/** @param {number | null} classId @param {number} top @param {number} left @param {number} height @param {number} width @returns {Stroke} */
const box = (classId, top, left, height, width) => ({ class_id: classId, top, left, height, width, runs: [0, height * width] });

test("the last stroke over a pixel decides, the eraser leaves nothing, and the overlay itself stays as it was", () => {
  const overlay = { ...blank(4, PICTURE, { ...CONSTANTS, mask_side: 1000 }), values: new Uint8Array(37 * 24).fill(2) };

  const shown = paintedOver(overlay, PICTURE, [box(5, 2, 3, 6, 8), box(6, 4, 3, 2, 2), box(null, 2, 3, 1, 1)], CONSTANTS.ignore);

  const at = (/** @type {number} */ row, /** @type {number} */ col) => shown.values[row * 37 + col];
  assert.deepEqual([at(2, 3), at(2, 4), at(4, 4), at(7, 10), at(8, 10), at(1, 3)], [255, 5, 6, 5, 2, 2]);
  assert.ok(overlay.values.every((value) => value === 2));
  assert.equal(paintedOver(overlay, PICTURE, [], CONSTANTS.ignore), overlay);
});

test("a smaller overlay takes the pixels in the middle of its own", () => {
  const picture = { width: 143, height: 90 };
  const overlay = blank(4, picture, { ...CONSTANTS, mask_side: 64 });
  const stroke = box(1, 11, 20, 40, 77);

  const shown = paintedOver(overlay, picture, [stroke], CONSTANTS.ignore);

  const rows = middles(overlay.height, 90);
  const cols = middles(overlay.width, 143);
  for (let y = 0; y < overlay.height; y += 1) {
    for (let x = 0; x < overlay.width; x += 1) {
      const isInside = rows[y] >= 11 && rows[y] < 51 && cols[x] >= 20 && cols[x] < 97;
      assert.equal(shown.values[y * overlay.width + x], isInside ? 1 : 255);
    }
  }
});

test("a blank overlay has the shape of its picture and the size of the learner's", () => {
  const { width, height, values } = blank(4, { width: 4000, height: 3000 }, { ...CONSTANTS, mask_side: 1536 });

  assert.deepEqual([width, height], [1536, 1152]);
  assert.ok(values.every((value) => value === 255));
  assert.deepEqual([blank(4, PICTURE, { ...CONSTANTS, mask_side: 1536 }).width, blank(4, PICTURE, { ...CONSTANTS, mask_side: 1536 }).height], [37, 24]);
});
