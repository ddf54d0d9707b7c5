// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { backgroundOf, cellsBelow, classTable, colour, drawBorders, heatTable, packed, rgb, valueAt } from "../../fcnlab/web/canvas/assets/view/overlay.js";

const CLASSES = [
  { id: 3, colour: "#102030", is_background: true },
  { id: 0, colour: "#ff8001", is_background: false },
];

test("a packed colour is red, green, blue, alpha in memory", () => {
  assert.deepEqual([...new Uint8Array(new Uint32Array([packed(1, 2, 3, 255)]).buffer)], [1, 2, 3, 255]);
  assert.deepEqual(rgb("#ff8001"), [255, 128, 1]);
});

test("the background is transparent unless wanted, whatever its id", () => {
  assert.equal(classTable(CLASSES, { background: false })[3], 0);
  assert.equal(classTable(CLASSES, { background: true })[3], packed(16, 32, 48, 255));
  assert.equal(classTable(CLASSES, { background: false })[0], packed(255, 128, 1, 255));
  assert.equal(classTable(CLASSES, { background: true })[77], 0);
});

test("without a background every class is tinted, the first one too", () => {
  const land = CLASSES.map((label) => ({ ...label, is_background: false }));

  assert.equal(backgroundOf(CLASSES), 3);
  assert.equal(backgroundOf(land), -1);
  assert.equal(classTable(land, { background: false })[3], packed(16, 32, 48, 255));
});

test("what has no grade is transparent, and grades lie on the ramp of probabilities", () => {
  assert.equal(heatTable("grade")[0], 0);
  assert.deepEqual([...heatTable("grade").slice(1)], [...heatTable("probability").slice(1)]);
});

test("heat tables are opaque and get lighter with the value", () => {
  for (const mode of /** @type {const} */ (["probability", "uncertainty"])) {
    const bytes = new Uint8Array(heatTable(mode).buffer);
    let before = -1;
    for (let value = 0; value < 256; value += 1) {
      const [r, g, b, a] = bytes.subarray(4 * value, 4 * value + 4);
      const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
      assert.equal(a, 255);
      assert.ok(light >= before - 0.5, `${mode} ${value}`);
      before = light;
    }
  }
});

test("every value of a box gets its colour", () => {
  const map = { width: 3, values: new Uint8Array([3, 3, 0, 0, 0, 3]) };
  const target = new Uint32Array(4);

  colour(map, { top: 0, left: 1, height: 2, width: 2 }, classTable(CLASSES, { background: true }), target);

  const [one, other] = [packed(255, 128, 1, 255), packed(16, 32, 48, 255)];
  assert.deepEqual([...target], [other, one, one, other]);
});

test("a value is found under its pixel when the map is smaller than the picture", () => {
  const map = { width: 3, height: 2, values: new Uint8Array([0, 1, 2, 3, 4, 5]) };
  const picture = { width: 300, height: 100 };

  assert.equal(valueAt(map, picture, 0, 0), 0);
  assert.equal(valueAt(map, picture, 49, 299), 2);
  assert.equal(valueAt(map, picture, 50, 100), 4);
  assert.equal(valueAt(map, picture, 99, 299), 5);
});

test("screen pixels outside the picture lie over no cell", () => {
  assert.deepEqual([...cellsBelow(8, 2, 4, 2)], [-1, -1, 0, 0, 1, 1, -1, -1]);
});

test("borders are drawn between classes only, as thick at every zoom", () => {
  const map = { width: 4, height: 2, values: new Uint8Array([3, 3, 0, 0, 3, 3, 0, 0]) };
  const table = classTable(CLASSES, { background: true });
  for (const zoom of [10, 40]) {
    const [nRows, nCols] = [2 * zoom, 4 * zoom];
    const target = new Uint32Array(nRows * nCols);

    drawBorders(map, cellsBelow(nRows, 0, nRows, 2), cellsBelow(nCols, 0, nCols, 4), table, 3, 2, target);

    const row = [...target.subarray(nCols, 2 * nCols)];
    assert.equal(row.filter((pixel) => pixel === table[0]).length, 2, "two pixels of the object's colour");
    assert.equal(row.filter((pixel) => pixel !== 0).length, 3, "and one dark pixel");
    assert.equal(row[2 * zoom - 1], table[0]);
  }
});

test("a map of one class has no borders, not even at the end of the picture", () => {
  const map = { width: 3, height: 2, values: new Uint8Array(6).fill(3) };
  const target = new Uint32Array(12 * 9);

  drawBorders(map, cellsBelow(9, 1, 7, 2), cellsBelow(12, 2, 8, 3), classTable(CLASSES, { background: true }), 3, 2, target);

  assert.ok(target.every((pixel) => pixel === 0));
});
