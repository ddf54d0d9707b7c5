// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { levelFor, tilesInView } from "../../fcnlab/web/canvas/assets/view/tiles.js";

const IMAGE = { width: 12000, height: 9000, tile_px: 512, levels: 3 };
const VIEWPORT = { width: 1000, height: 700 };

test("a tile's pixels are never larger than those of the screen, and at most half as large", () => {
  for (const scale of [1, 0.9, 0.5, 0.3, 0.26, 0.25, 0.13]) {
    const level = levelFor(IMAGE, scale);

    assert.ok(level !== null && scale * 2 ** level <= 1.001 && scale * 2 ** level > 0.5, `${scale}: ${level}`);
  }
});

test("an enlarged picture is drawn from its finest tiles", () => assert.equal(levelFor(IMAGE, 7), 0));

test("where the overview is fine enough no tile is asked for", () => assert.equal(levelFor(IMAGE, 0.1), null));

test("all tiles of a level are seen when the whole picture is", () => {
  const view = { scale: 0.07, x: 50, y: 20 };

  assert.equal(tilesInView(IMAGE, view, VIEWPORT, 0).length, 24 * 18);
  assert.equal(tilesInView(IMAGE, view, VIEWPORT, 2).length, 6 * 5);
});

test("only tiles that touch the viewport are asked for, the middle first", () => {
  const view = { scale: 1, x: -5120, y: -1024 };

  const tiles = tilesInView(IMAGE, view, VIEWPORT, 0);

  assert.deepEqual(tiles[0], { level: 0, x: 10, y: 2 });
  assert.deepEqual(new Set(tiles.map(({ x, y }) => `${x} ${y}`)), new Set(["10 2", "11 2", "10 3", "11 3"]));
});

test("beside the picture there are no tiles", () => {
  assert.deepEqual(tilesInView(IMAGE, { scale: 1, x: 1500, y: 0 }, VIEWPORT, 0), []);
});
