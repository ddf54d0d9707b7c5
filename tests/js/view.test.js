// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { along, around, fitted, kept, moved, pixelAt, shownAt, zoomed } from "../../fcnlab/web/canvas/assets/state/view.js";

const PICTURE = { width: 640, height: 231 };
const VIEWPORT = { width: 500, height: 900 };
const VIEWS = [fitted(PICTURE, VIEWPORT), { scale: 0.37, x: -20.5, y: 13 }, { scale: 9.1, x: -1503, y: -77.25 }];

/** @param {number} a @param {number} b */
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-9, `${a} is not ${b}`);

test("a pixel shown at a place is the pixel at that place", () => {
  for (const view of VIEWS) {
    for (const [row, col] of [[0, 0], [230, 639], [17, 400], [200, 3]]) {
      const { sx, sy } = shownAt(view, row, col);

      assert.deepEqual(pixelAt(view, PICTURE, sx, sy), { row, col });
    }
  }
});

test("outside the picture there is no pixel", () => {
  for (const view of VIEWS) {
    const left = shownAt(view, 0, -1);
    const below = shownAt(view, 231, 0);

    assert.equal(pixelAt(view, PICTURE, left.sx, left.sy), null);
    assert.equal(pixelAt(view, PICTURE, below.sx, below.sy), null);
  }
});

test("the fitted picture is whole, centred and as large as it can be", () => {
  const view = fitted(PICTURE, VIEWPORT);
  const right = view.x + PICTURE.width * view.scale;

  near(view.x, VIEWPORT.width - right);
  near(view.y, VIEWPORT.height - (view.y + PICTURE.height * view.scale));
  assert.equal(view.x, 12);
});

test("zooming keeps the pixel under the cursor, and back is where it was", () => {
  for (const view of VIEWS) {
    const nearer = zoomed(view, 1.7, 123, 456, 0.01);
    const back = zoomed(nearer, 1 / 1.7, 123, 456, 0.01);

    near((123 - view.x) / view.scale, (123 - nearer.x) / nearer.scale);
    near((456 - view.y) / view.scale, (456 - nearer.y) / nearer.scale);
    near(back.x, view.x);
    near(back.scale, view.scale);
  }
});

test("some of the picture always stays in sight", () => {
  for (const [x, y] of [[1e6, 1e6], [-1e6, -1e6]]) {
    const view = kept({ scale: 2, x, y }, PICTURE, VIEWPORT);

    assert.ok(view.x < VIEWPORT.width && view.x + PICTURE.width * 2 > 0);
    assert.ok(view.y < VIEWPORT.height && view.y + PICTURE.height * 2 > 0);
  }
});

test("a drawing moved to another view lies where it would be drawn there", () => {
  const [drawn, , now] = VIEWS;
  const move = moved(drawn, now);
  const before = shownAt(drawn, 40, 300);
  const after = shownAt(now, 40, 300);

  near(before.sx * move.scale + move.x, after.sx);
  near(before.sy * move.scale + move.y, after.sy);
});

test("an asked pixel is enlarged, in sight, and in the middle unless the picture ends there", () => {
  const viewport = { width: 900, height: 500 };
  for (const picture of [{ width: 640, height: 431 }, { width: 4000, height: 3001 }, { width: 37, height: 23 }]) {
    for (const [row, col] of [[0, 0], [Math.floor(picture.height / 2), Math.floor(picture.width / 2)], [picture.height - 1, picture.width - 1], [3, picture.width - 2]]) {
      const view = around(picture, viewport, row, col);
      const { sx, sy } = shownAt(view, row, col);

      assert.ok(view.scale >= fitted(picture, viewport).scale);
      assert.ok(view.scale <= 8);
      assert.ok(sx >= 0 && sx <= viewport.width && sy >= 0 && sy <= viewport.height, `${[row, col]} is at ${[sx, sy]}`);
      const isMiddle = row === Math.floor(picture.height / 2) && picture.width > 100;
      if (isMiddle) assert.deepEqual([sx, sy], [450, 250]);
    }
  }
});

test("round an asked pixel of a large picture an eighth of its longer side is seen", () => {
  const view = around({ width: 4000, height: 3001 }, { width: 900, height: 500 }, 1500, 2000);

  near(500 / view.scale, 500);
});

test("the way from one view to another begins and ends there, and keeps the middle on a line", () => {
  const [, from, to] = VIEWS;
  const middle = (/** @type {import("../../fcnlab/web/canvas/assets/types.js").View} */ view) => (VIEWPORT.width / 2 - view.x) / view.scale;

  for (const [part, view] of /** @type {const} */ ([[0, from], [1, to]])) {
    const found = along(from, to, part, VIEWPORT);
    near(found.scale, view.scale);
    near(found.x, view.x);
    near(found.y, view.y);
  }
  near(middle(along(from, to, 0.5, VIEWPORT)), (middle(from) + middle(to)) / 2);
});
