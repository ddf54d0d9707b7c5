import assert from "node:assert/strict";
import { test } from "node:test";

import { chooseClass, clear, perform, reverse } from "../../fcnlab/web/canvas/assets/tools/actions.js";
import { Finishing } from "../../fcnlab/web/canvas/assets/tools/finishing.js";
import { ImageNavigator } from "../../fcnlab/web/canvas/assets/protocol/navigator.js";
import { Tool } from "../../fcnlab/web/canvas/assets/tools/tool.js";
import { currentClass } from "../../fcnlab/web/canvas/assets/state/page.js";
import { installDom } from "./support/dom.js";
import { imageOf, pageOf, sceneOf } from "./support/page.js";

installDom();

function acting(scene = sceneOf(), state = {}) {
  const page = pageOf(scene, state);
  const told = [];
  page.toolbox.tools = { points: new Tool(), brush: new Tool(), eraser: new Tool(), query: new Tool() };
  const finishing = new Finishing({ ...page, completion: null, routes: { page: (title) => title } });
  const parts = { ...page, finishing, help: { toggle: () => told.push("help") }, notes: { setTyped: (digits) => told.push(digits) } };
  return { ...parts, told, press: (type, rest = {}) => perform(parts, { type, ...rest }) };
}

test("a number chooses the class in that place, and says when there is none", () => {
  const { press, store, done, stop } = acting();

  press("class", { number: 3 });
  assert.equal(currentClass(store.state), 2);
  press("class", { number: 7 });
  assert.deepEqual([currentClass(store.state), done.toasts], [2, ["There is no class 7."]]);
  stop();
});

test("x goes to and fro between the two classes last used; at first between the first two", () => {
  const { press, store, stop } = acting();
  const after = (act) => (act(), currentClass(store.state));

  assert.equal(currentClass(store.state), 1); // the first that is no background
  assert.equal(after(() => press("swap")), 0);
  assert.equal(after(() => chooseClass(store, 2)), 2);
  assert.equal(after(() => press("swap")), 0);
  assert.equal(after(() => press("swap")), 2);
  stop();
});

test("the class last used that was removed is not used", () => {
  const { store, stop } = acting(sceneOf(), { memory: { classId: 9, otherId: null, hintClosed: false, byGain: false, brushSize: null } });

  assert.equal(currentClass(store.state), 1);
  assert.equal(currentClass({ ...store.state, scene: sceneOf({ classes: [] }) }), -1);
  stop();
});

test("keys of the display change what is shown and nothing of the image", () => {
  const { press, store, events, stop } = acting();

  press("overlay");
  assert.equal(store.state.display.overlay, false);
  press("heat");
  assert.deepEqual([store.state.display.mode, store.state.display.overlay], ["probability", true]);
  press("heat");
  press("heat");
  assert.equal(store.state.display.mode, "mask");
  press("contour");
  assert.equal(store.state.display.contour, true);
  for (let n = 0; n < 20; n += 1) press("fainter");
  assert.equal(store.state.display.opacity, 0.05);
  for (let n = 0; n < 20; n += 1) press("stronger");
  assert.equal(store.state.display.opacity, 1);
  assert.deepEqual(events(), []);
  stop();
});

test("plus and minus zoom where the cursor is, else in the middle of what is seen", () => {
  const { press, store, stage, stop } = acting();
  const zooms = [];
  Object.assign(stage, { room: () => ({ width: 300, height: 200 }), zoom: (factor, ...place) => zooms.push([factor > 1, ...place]) });

  press("nearer");
  store.set({ cursor: { sx: 7, sy: 9 } });
  press("further");

  assert.deepEqual(zooms, [[true, 150, 100], [false, 7, 9]]);
  stop();
});

test("a key that the chosen tool takes means nothing else; any key but Escape closes what was asked", () => {
  const { press, toolbox, store, done, stop } = acting();
  toolbox.tools.brush.onKey = ({ type }) => type === "overlay";
  press("brush");

  press("overlay");
  assert.equal(store.state.display.overlay, true);
  const closed = done.closed;
  press("heat");
  assert.equal(done.closed, closed + 1);
  stop();
});

test("b, e and q choose their tool and put it away again; without an image they do nothing", () => {
  const { press, store, stop } = acting();
  const tools = ["brush", "eraser", "eraser", "ask", "brush", "ask", "ask"].map((key) => (press(key), store.state.tool));

  assert.deepEqual(tools, ["brush", "eraser", "points", "query", "brush", "query", "points"]);
  const empty = acting(sceneOf({ image: null }));
  for (const key of ["brush", "ask"]) empty.press(key);
  assert.equal(empty.store.state.tool, "points");
  stop();
  empty.stop();
});

test("undo is recorded where there is something to undo, and explained elsewhere", () => {
  const open = acting(sceneOf({ reversible: { undo: 1, redo: 0, redo_reopens: false } }));
  reverse(open, "undo");
  reverse(open, "undo");
  assert.deepEqual([open.events().map(({ kind }) => kind), open.done.toasts], [["undo"], ["Nothing of yours to undo on this image."]]);

  const closed = acting(sceneOf({ image: imageOf(1, { state: "done" }) }));
  reverse(closed, "redo");
  assert.deepEqual([closed.events(), closed.done.toasts], [[], ["This image is done. Reopen it to redo something."]]);
  open.stop();
  closed.stop();
});

test("a few points are removed at once, many only after a question", () => {
  const few = acting(sceneOf({ points: [["a:1", 1, 1, 1]] }));
  clear(few, {});
  assert.deepEqual(few.events().map(({ kind }) => kind), ["clear"]);

  const many = acting(sceneOf({ points: [1, 2, 3, 4].map((k) => [`a:${k}`, k, 1, 1]), n_strokes: 2 }));
  clear(many, {});
  assert.deepEqual([many.events(), many.done.questions[0].question], [[], "Remove 4 points and 2 strokes of this image?"]);
  many.done.questions[0].answers[0].act();
  assert.deepEqual(many.events().map(({ kind }) => kind), ["clear"]);

  const none = acting();
  clear(none, {});
  assert.deepEqual([none.events(), none.done.questions], [[], []]);
  for (const page of [few, many, none]) page.stop();
});

test("Enter marks the image done and goes on; on a done image it only goes on", () => {
  const open = acting();
  open.press("done");
  assert.deepEqual([open.events(), open.done.went], [[{ kind: "state", state: "done" }], [1]]);

  const closed = acting(sceneOf({ image: imageOf(1, { state: "done" }) }));
  closed.press("done");
  assert.deepEqual([closed.events(), closed.done.went], [[], [1]]);
  open.stop();
  closed.stop();
});

test("an imported mask is used and its image done by one event, and the next image follows", () => {
  const open = acting();
  open.finishing.take(true);
  assert.deepEqual([open.events(), open.done.went, open.store.state.labelled.state], [[{ kind: "take", done: true }], [1], "done"]);

  const looking = acting();
  looking.finishing.take(false);
  assert.deepEqual([looking.events(), looking.done.went], [[{ kind: "take", done: false }], []]);

  const leaving = acting(sceneOf(), { loading: 2 });
  leaving.finishing.take(true);
  assert.deepEqual([leaving.events(), leaving.done.toasts.length], [[], 1]);
  for (const page of [open, looking, leaving]) page.stop();
});

test("Enter while another image is on its way is for the one that is seen: it does nothing, and says so", () => {
  for (const state of [{ loading: 2 }, {}]) {
    const page = acting(sceneOf(), state);
    page.navigator.wanted = state.loading ? null : 2;

    page.press("done");

    assert.deepEqual([page.events(), page.done.toasts.length], [[], 1]);
    page.stop();
  }
});

test("after the last image it is said what is left, and the way there", () => {
  const last = acting(sceneOf({ open: { count: 0, next_id: null } }));
  last.press("done");
  assert.deepEqual(last.done.toasts, ["All 3 images are done."]);

  const middle = acting(sceneOf({ open: { count: 1, next_id: 7 } }));
  middle.navigator.step = () => false;
  middle.press("next");
  assert.match(middle.done.toasts[0], /last image. Before it 1 image is still open/);
  last.stop();
  middle.stop();
});

test("an image is asked for again until it comes", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const sent = [];
  const strip = { placed: (image) => image, positionOf: (id) => id - 1, idAt: (position) => (position < 5 ? position + 1 : null) };
  const navigator = new ImageNavigator(({ image_id: id }) => sent.push(id), strip);
  navigator.arrived(imageOf(1));

  assert.equal(navigator.step(1), true);
  navigator.step(1); // from the one that is on its way
  context.mock.timers.tick(2000);
  assert.deepEqual(sent, [2, 3, 3]);
  navigator.arrived(imageOf(3));
  context.mock.timers.tick(20_000);
  assert.deepEqual(sent, [2, 3, 3]);
  assert.equal(navigator.step(-1), true);
  navigator.stop();
});

test("at either end there is no further image", () => {
  const navigator = new ImageNavigator(() => assert.fail("nothing to ask for"), { placed: (image) => image });

  assert.equal(navigator.step(1), false);
  navigator.arrived(imageOf(1));
  assert.equal(navigator.step(-1), false);
  navigator.go(1);
});
