import assert from "node:assert/strict";
import { test } from "node:test";

import { zoomed } from "../../fcnlab/web/canvas/assets/state/view.js";
import { Brush } from "../../fcnlab/web/canvas/assets/tools/brush.js";
import { CountingTool } from "../../fcnlab/web/canvas/assets/tools/counting.js";
import { Crosshair, stepped, wayIntoSight } from "../../fcnlab/web/canvas/assets/tools/crosshair.js";
import { PointTool, Remover } from "../../fcnlab/web/canvas/assets/tools/points.js";
import { installDom } from "./support/dom.js";
import { at, COUNTING_PROJECT, imageOf, pageOf, sceneOf } from "./support/page.js";

installDom();

const SIZE = { width: 300, height: 200 };

/** A page whose picture has the focus and fills the viewport, with the cursor in its middle: row 100, column 150. */
function aiming(scene = sceneOf(), state = {}) {
  const page = pageOf(scene, state);
  const { store, done } = page;
  const stage = {
    isFocused: true,
    focus: () => (stage.isFocused = true),
    hasFocus: () => stage.isFocused,
    room: () => SIZE,
    setCrosshair: (pixel) => (stage.pixel = pixel),
    pan: (dx, dy) => store.set({ view: { ...store.state.view, x: store.state.view.x + dx, y: store.state.view.y + dy } }),
  };
  const said = [];
  const speech = { say: (text) => said.push(text), later: (text) => said.push(text) };
  const parts = { ...page, stage, speech };
  const tools = { ...parts, redraw: () => {}, routes: {}, fetch: () => new Promise(() => {}) };
  const counts = scene.project.task === "counts";
  page.toolbox.tools = { points: counts ? new CountingTool(tools) : new PointTool(tools), remover: new Remover(tools), brush: new Brush(tools, false) };
  const crosshair = new Crosshair(parts);
  store.subscribe(["labelled", "view"], () => crosshair.follow());
  crosshair.begin();
  const press = (...keys) => keys.map((key) => crosshair.read(typeof key === "string" ? { key } : key));
  const explained = done.toasts.splice(0);
  return { ...page, stage, said, crosshair, press, last: () => said.at(-1), toasts: done.toasts, explained };
}

test("a step is so far on the screen, at least a pixel of the picture, and ends at its edges", () => {
  const from = { row: 100, col: 150 };

  assert.deepEqual(stepped(from, [1, 0], false, 1, SIZE), { row: 100, col: 154 });
  assert.deepEqual(stepped(from, [0, -1], false, 0.5, SIZE), { row: 92, col: 150 });
  assert.deepEqual(stepped(from, [-1, 0], false, 16, SIZE), { row: 100, col: 149 });
  assert.deepEqual(stepped(from, [0, 1], true, 1, SIZE), { row: 148, col: 150 });
  assert.deepEqual([stepped(from, [0, 1], true, 0.2, SIZE), stepped(from, [-1, 0], true, 0.2, SIZE)], [{ row: 199, col: 150 }, { row: 100, col: 0 }]);
});

test("what is near an edge of the viewport, or beyond it, comes back into sight", () => {
  assert.deepEqual(wayIntoSight(at(150, 100), SIZE), { dx: 0, dy: 0 });
  assert.deepEqual(wayIntoSight(at(-8, 190), SIZE), { dx: 40, dy: -22 });
  assert.deepEqual(wayIntoSight(at(290, 0), { width: 20, height: 20 }), { dx: -280, dy: 10 }); // no room for both margins
});

test("Space is a click of the chosen tool at the cursor: the event, the undo and the words of it are a mouse's", () => {
  const { press, events, last, labelling, stop } = aiming();

  press("ArrowRight", "ArrowUp", " ", { key: " ", repeat: true });
  assert.deepEqual([events(), last()], [[{ kind: "add", row: 96, col: 154, class_id: 1 }], "Row 96, column 154: root"]);
  labelling.record("undo");
  assert.equal(labelling.now().points.length, 0);
  stop();
});

test("Delete and Backspace remove the point near the cursor and no other, and say so", () => {
  const { press, events, said, stop } = aiming(sceneOf({ points: [["a:1", 104, 150, 2], ["a:2", 20, 20, 1]] }));

  assert.match(said.at(-1), /^Row 100, column 150, at a point of stone$/);
  press("Delete");
  assert.deepEqual([events(), said.at(-1)], [[{ kind: "remove", uid: "a:1" }], "Row 104, column 150: stone removed"]);
  press("Backspace");
  assert.deepEqual([events().length, said.at(-1)], [1, "No point is near the cursor."]);
  stop();
});

test("while painting, Space is a dab of the brush", () => {
  const { press, events, last, toolbox, stop } = aiming();
  toolbox.choose("brush");

  press(" ");

  const [{ kind, class_id: classId, top, left, height, width }] = events();
  assert.deepEqual([kind, classId, top + Math.floor(height / 2), left + Math.floor(width / 2)], ["brush", 1, 100, 150]);
  assert.equal(last(), "Row 100, column 150: painted root");
  stop();
});

test("while single points are removed, Space removes", () => {
  const { press, events, toolbox, toasts, stop } = aiming(sceneOf({ points: [["a:1", 112, 150, 2]] }));
  toolbox.choose("remover");

  press(" ", " ");

  assert.deepEqual([events(), toasts.length], [[{ kind: "remove", uid: "a:1" }], 1]);
  stop();
});

test("in a project that counts, Space marks an object, and a second time says that it counts once", () => {
  const { press, events, toasts, stop } = aiming(sceneOf({ project: COUNTING_PROJECT }));

  press(" ", " ");

  assert.deepEqual([events().map(({ kind }) => kind), toasts], [["add"], ["This pixel is marked already: it counts once."]]);
  stop();
});

test("on a done image nothing is set, and it is said why", () => {
  const { press, events, last, stop } = aiming(sceneOf({ image: imageOf(1, { state: "done" }) }));

  press(" ");

  assert.deepEqual([events(), last()], [[], "This image is done. Reopen it to change something."]);
  stop();
});

test("the cursor stays on its pixel when the picture is moved and enlarged, and comes back into sight before it clicks", () => {
  const { press, events, store, stop } = aiming();

  store.set({ view: zoomed(store.state.view, 4, 150.5, 100.5, 0.1) });
  assert.deepEqual([store.state.cursor.sx, store.state.cursor.sy], [150.5, 100.5]);
  store.set({ view: { scale: 4, x: 2000, y: 0 } });
  press(" ");

  assert.deepEqual(events().map(({ row, col }) => [row, col]), [[100, 150]]);
  const { sx, sy } = store.state.cursor;
  assert.deepEqual([sx, sy], [268, 168]); // 32 pixels from the edges
  stop();
});

test("Escape gives the arrows back, and so does another focus until it returns", () => {
  const { press, stage, crosshair, store, stop } = aiming();

  stage.isFocused = false;
  crosshair.hide();
  assert.deepEqual([press("ArrowLeft", " "), stage.pixel, store.state.cursor], [[false, false], null, null]);
  stage.isFocused = true;
  crosshair.enter();
  assert.deepEqual(stage.pixel, { row: 100, col: 150 });
  assert.deepEqual(press("ArrowLeft", "n", { key: "ArrowLeft", ctrlKey: true }, "Escape", "ArrowLeft", " "), [true, false, false, true, false, false]);
  assert.equal(stage.pixel, null);
  stop();
});

test("it comes up under the mouse, else in the middle; on another image it begins in the middle", () => {
  const { crosshair, stage, store, labelling, stop } = aiming();
  crosshair.leave();

  store.set({ cursor: at(60, 80) });
  crosshair.begin();
  assert.deepEqual(stage.pixel, { row: 80, col: 60 });
  crosshair.begin();
  assert.deepEqual(stage.pixel, { row: 100, col: 150 });
  crosshair.read({ key: "ArrowUp" });
  labelling.receive(sceneOf({ image: imageOf(2, { width: 60, height: 40 }) }));
  labelling.show();
  store.set({ labelled: labelling.now() });
  assert.deepEqual(stage.pixel, { row: 39, col: 59 }); // the nearest pixel of a smaller image
  stop();
});

test("how the cursor is used is shown once", () => {
  const { crosshair, explained, toasts, stop } = aiming();

  crosshair.leave();
  crosshair.begin();

  assert.deepEqual([explained.length, toasts], [1, []]);
  stop();
});

test("without an image there is no cursor", () => {
  const { press, stage, stop } = aiming(sceneOf({ image: null }));

  assert.deepEqual([press("ArrowLeft", " "), stage.pixel], [[false, false], undefined]);
  stop();
});
