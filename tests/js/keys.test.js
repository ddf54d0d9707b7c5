// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { belongsTo, COUNTING_HELP, HELP, KeyReader, PAUSE_MS } from "../../fcnlab/web/canvas/assets/tools/keys.js";

/** @param {...object} strokes */
function read(...strokes) {
  /** @type {any[]} */
  const actions = [];
  const reader = new KeyReader((action) => actions.push(action));
  const meant = strokes.map((stroke) => reader.read(/** @type {any} */ (stroke)));
  return { actions, meant, reader };
}

test("single keys", () => {
  for (const [key, type] of Object.entries({ f: "fit", 0: "fit", v: "overlay", o: "contour", h: "heat", n: "next", p: "previous", ArrowRight: "next", ArrowLeft: "previous", Enter: "done", x: "swap", q: "ask", s: "skip", u: "unsure", m: "more", b: "brush", e: "eraser", a: "accept", d: "reject", t: "complete", "[": "fainter", "]": "stronger", "?": "help", Escape: "escape", z: "undo" })) {
    assert.deepEqual(read({ key }).actions, [{ type }], key);
  }
});

test("digits choose classes 1 to 9", () => {
  assert.deepEqual(read({ key: "1" }, { key: "9" }).actions.map((action) => action.number), [1, 9]);
});

test("undo and redo in all their spellings", () => {
  const strokes = [
    [{ key: "z" }, "undo"],
    [{ key: "Z", shiftKey: true }, "redo"],
    [{ key: "z", ctrlKey: true }, "undo"],
    [{ key: "Z", ctrlKey: true, shiftKey: true }, "redo"],
    [{ key: "y", ctrlKey: true }, "redo"],
    [{ key: "z", metaKey: true }, "undo"],
  ];
  for (const [stroke, type] of strokes) assert.deepEqual(read(/** @type {object} */ (stroke)).actions, [{ type }]);
});

test("the browser and Streamlit keep their keys", () => {
  const strokes = [{ key: "r" }, { key: "c" }, { key: "f", ctrlKey: true }, { key: "n", metaKey: true }, { key: "1", altKey: true }, { key: "Tab" }];

  const { actions, meant } = read(...strokes);

  assert.deepEqual(actions, []);
  assert.ok(meant.every((means) => !means));
});

test("g and digits choose a class above 9, by Enter or by a pause", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const byEnter = read({ key: "g" }, { key: "1" }, { key: "2" }, { key: "Enter" });
  const byPause = read({ key: "g" }, { key: "3" }, { key: "0" });
  t.mock.timers.tick(PAUSE_MS);

  assert.deepEqual(byEnter.actions.at(-1), { type: "class", number: 12 });
  assert.deepEqual(byPause.actions.at(-1), { type: "class", number: 30 });
  assert.deepEqual(byPause.actions.at(-2), { type: "typing", digits: null });
});

test("another key ends the number without choosing", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { actions } = read({ key: "g" }, { key: "1" }, { key: "Escape" });
  t.mock.timers.tick(10 * PAUSE_MS);

  assert.ok(actions.every((action) => action.type === "typing"));
});

test("fields keep what is typed into them", () => {
  const element = (tagName, more = {}) => ({ tagName, getAttribute: () => null, ...more });

  assert.ok(belongsTo(element("INPUT", { type: "text" }), "n"));
  assert.ok(belongsTo(element("TEXTAREA"), "z"));
  assert.ok(belongsTo(element("SELECT"), "1"));
  assert.ok(belongsTo(element("DIV", { isContentEditable: true }), "1"));
  assert.ok(belongsTo(element("INPUT", { type: "range" }), "ArrowLeft"));
  assert.ok(belongsTo(element("BUTTON"), "Enter"));
  assert.ok(belongsTo(element("DIV", { getAttribute: () => "radio" }), "ArrowRight"));
  assert.ok(!belongsTo(element("INPUT", { type: "range" }), "z"));
  assert.ok(!belongsTo(element("BUTTON"), "z"));
  assert.ok(!belongsTo(element("BODY"), "Enter"));
});

test("the help names every plain key", () => {
  const text = HELP.map(([keys]) => keys).join(" ");

  for (const key of ["x", "z", "n", "p", "f", "v", "o", "h", "g", "k", "+", "-", "[", "]", "?", "Enter", "Space", "Delete"]) assert.ok(text.includes(key), key);
});

test("the help of a project that counts names its own keys, and none that means nothing there", () => {
  const keys = COUNTING_HELP.flatMap(([keys]) => keys.split(/[ /]+/));

  for (const key of ["a", "d", "t", "q", "s", "z", "k", "Space", "Delete", "Enter"]) assert.ok(keys.includes(key), key);
  for (const key of ["b", "e", "u", "m"]) assert.ok(!keys.includes(key), key);
});
