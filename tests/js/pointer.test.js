import assert from "node:assert/strict";
import { test } from "node:test";

import { Navigation } from "../../fcnlab/web/canvas/assets/tools/navigation.js";
import { PointTool, Remover } from "../../fcnlab/web/canvas/assets/tools/points.js";
import { Pointer } from "../../fcnlab/web/canvas/assets/tools/pointer.js";
import { Tool } from "../../fcnlab/web/canvas/assets/tools/tool.js";
import { Toolbox } from "../../fcnlab/web/canvas/assets/tools/toolbox.js";
import { fire, installDom, StubElement } from "./support/dom.js";
import { at, imageOf, pageOf, sceneOf } from "./support/page.js";

installDom();

/** A tool that says what it is asked, and takes drags or not. */
class Recorder extends Tool {
  constructor(takes) {
    super();
    this.takes = takes;
    this.calls = [];
    for (const name of ["onMove", "onUp", "cancel", "onRemove"]) this[name] = (...values) => void this.calls.push([name, ...values]);
  }
  onDown(place) {
    this.calls.push(["onDown", place]);
    return this.takes;
  }
  onWheel(direction) {
    this.calls.push(["onWheel", direction]);
    return this.takes;
  }
}

function listening({ takes = false, space = false } = {}) {
  const element = new StubElement("div");
  const stage = { element, moves: [], pan: (dx, dy) => stage.moves.push(["pan", dx, dy]), zoom: (...values) => stage.moves.push(["zoom", ...values]) };
  const tool = new Recorder(takes);
  const hovers = [];
  const parts = { tool: () => tool, navigation: new Navigation(stage), onPress: () => {}, onHover: (place) => hovers.push(place), isSpaceHeld: () => space };
  const end = new AbortController();
  new Pointer(element, parts).listen(end.signal);
  const pointer = (kind, x, y, rest = {}) => fire(element, `pointer${kind}`, { pointerId: 1, clientX: x, clientY: y, ...rest });
  return { element, stage, tool, hovers, pointer, end };
}

test("a press that does not move is a click where it began", () => {
  const { pointer, tool, stage } = listening();

  pointer("down", 10, 20);
  pointer("move", 12, 21);
  pointer("up", 12, 21);

  assert.deepEqual(tool.calls, [["onDown", at(10, 20)], ["onUp", at(10, 20)]]);
  assert.deepEqual(stage.moves, []);
});

test("a drag that the tool does not take moves the picture, from where it began, and is no click", () => {
  const { pointer, tool, stage, element } = listening();

  pointer("down", 10, 20);
  pointer("move", 30, 20);
  pointer("move", 31, 25);
  assert.ok(element.classList.contains("grabbing"));
  pointer("up", 31, 25);

  assert.deepEqual(stage.moves, [["pan", 20, 0], ["pan", 1, 5]]);
  assert.deepEqual(tool.calls.map(([name]) => name), ["onDown", "cancel"]);
  assert.ok(!element.classList.contains("grabbing"));
});

test("a drag that the tool takes is the tool's, with every place on its way", () => {
  const { pointer, tool, stage } = listening({ takes: true });

  pointer("down", 10, 20);
  pointer("move", 30, 20, { getCoalescedEvents: () => [{ clientX: 20, clientY: 20 }, { clientX: 30, clientY: 20 }] });
  pointer("up", 40, 20);

  assert.deepEqual(tool.calls, [["onDown", at(10, 20)], ["onMove", at(30, 20), [at(20, 20), at(30, 20)]], ["onUp", at(40, 20)]]);
  assert.deepEqual(stage.moves, []);
});

test("with Space or the middle button every drag moves the picture", () => {
  for (const [options, button] of [[{ takes: true, space: true }, 0], [{ takes: true }, 1]]) {
    const { pointer, tool, stage } = listening(options);

    pointer("down", 10, 20, { button });
    pointer("move", 12, 20);
    pointer("up", 12, 20);

    assert.deepEqual([stage.moves, tool.calls], [[["pan", 2, 0]], []]);
  }
});

test("the right button and Ctrl remove; so does a long press of a finger, which is no click then", () => {
  const mouse = listening();
  mouse.pointer("down", 10, 20, { button: 2 });
  mouse.pointer("up", 10, 20);
  mouse.pointer("down", 11, 20, { ctrlKey: true });
  assert.deepEqual(mouse.tool.calls, [["onRemove", at(10, 20)], ["onRemove", at(11, 20)]]);

  const touch = listening();
  touch.pointer("down", 10, 20, { pointerType: "touch" });
  fire(touch.element, "contextmenu", { clientX: 10, clientY: 20 });
  touch.pointer("up", 10, 20);
  assert.deepEqual(touch.tool.calls.map(([name]) => name), ["onDown", "cancel", "onRemove"]);
});

test("a second finger ends what the first began, and enlarges the picture between them", () => {
  const { pointer, tool, stage } = listening({ takes: true });

  pointer("down", 0, 0);
  pointer("down", 100, 0, { pointerId: 2 });
  pointer("move", 200, 0, { pointerId: 2 });
  pointer("up", 200, 0, { pointerId: 2 });
  pointer("up", 0, 0);

  assert.deepEqual(tool.calls.map(([name]) => name), ["onDown", "cancel"]);
  assert.deepEqual(stage.moves, [["pan", 50, 0], ["zoom", 2, 100, 0]]);
});

test("a press that the browser takes away comes to nothing", () => {
  const { pointer, tool } = listening({ takes: true });

  pointer("down", 10, 20);
  pointer("cancel", 10, 20);

  assert.deepEqual(tool.calls.map(([name]) => name), ["onDown", "cancel"]);
});

test("the wheel enlarges at the cursor; with Shift it is the tool's, if that wants it", () => {
  const [plain, painting] = [listening(), listening({ takes: true })];
  const turn = ({ element }, rest = {}) => fire(element, "wheel", { clientX: 5, clientY: 6, deltaX: 0, deltaY: -100, ...rest });

  assert.equal(turn(plain).defaultPrevented, true);
  turn(plain, { shiftKey: true });
  turn(painting, { shiftKey: true });
  turn(painting, { shiftKey: true, deltaY: 0, deltaX: 100 });

  assert.deepEqual(plain.stage.moves.map(([name, factor, ...place]) => [name, factor > 1, ...place]), [["zoom", true, 5, 6], ["zoom", true, 5, 6]]);
  assert.deepEqual([painting.stage.moves, painting.tool.calls], [[], [["onWheel", 1], ["onWheel", -1]]]);
});

test("the place under the cursor is told, and that there is none", () => {
  const { pointer, hovers, end } = listening();

  pointer("move", 5, 6);
  pointer("leave", 0, 0);
  end.abort();
  pointer("move", 7, 8);

  assert.deepEqual(hovers, [at(5, 6), null]);
});

function clicking(scene, state) {
  const page = pageOf(scene, state);
  return { ...page, tool: new PointTool(page) };
}

test("a click marks the pixel under it with the current class", () => {
  const { tool, events, stop } = clicking(sceneOf(), { view: { scale: 2, x: 10, y: 4 } });

  tool.onUp(at(31, 25));

  assert.deepEqual(events(), [{ kind: "add", row: 10, col: 10, class_id: 1 }]);
  stop();
});

test("a click on a pixel that is marked counts, and says what the pixel was if it was something else", () => {
  const { tool, events, done, stop } = clicking(sceneOf({ points: [["a:1", 10, 10, 2], ["a:2", 10, 11, 1]] }));

  tool.onUp(at(11, 10)); // of the same class
  assert.deepEqual(done.toasts, []);
  tool.onUp(at(10, 10));

  assert.deepEqual(events().map(({ col, class_id: classId }) => [col, classId]), [[11, 1], [10, 1]]);
  assert.deepEqual(done.toasts, ["This pixel was stone, and is root now. Undo takes that back."]);
  stop();
});

test("a click beside the picture, on a done image, under a veil or without classes marks nothing", () => {
  const cases = [
    clicking(sceneOf(), { view: { scale: 1, x: 100, y: 0 } }),
    clicking(sceneOf({ image: imageOf(1, { state: "done" }) })),
    clicking(sceneOf(), { picture: "failed" }),
    clicking(sceneOf({ classes: [] })),
    clicking(sceneOf({ image: null })),
  ];
  for (const { tool, events, stop } of cases) {
    tool.onUp(at(31, 25));

    assert.deepEqual(events(), []);
    stop();
  }
});

test("a right click removes the nearest point, which the cursor shows before", () => {
  const points = [["a:1", 10, 10, 1], ["a:2", 10, 18, 1]];
  const { tool, events, store, stop } = clicking(sceneOf({ points }));

  store.set({ cursor: at(16, 10) });
  assert.equal(tool.removable(), "a:2");
  tool.onRemove(at(16, 10));
  tool.onRemove(at(200, 150)); // too far from all

  assert.deepEqual(events(), [{ kind: "remove", uid: "a:2" }]);
  stop();
});

test("the tool that removes takes the point under a click, which the cursor shows before, and never adds one", () => {
  const page = pageOf(sceneOf({ points: [["a:1", 10, 10, 1], ["a:2", 10, 40, 2]] }));
  const tool = new Remover(page);

  page.store.set({ cursor: at(28, 10) }); // as far as a finger may miss
  assert.equal(tool.removable(), "a:2");
  tool.onUp(at(28, 10));
  tool.onUp(at(200, 150));

  assert.deepEqual([page.events(), page.done.toasts], [[{ kind: "remove", uid: "a:2" }], ["There is no point. Each click on a point removes it."]]);
  page.stop();
});

test("nothing is removed from a done image", () => {
  const page = pageOf(sceneOf({ image: imageOf(1, { state: "done" }), points: [["a:1", 10, 10, 1]] }));

  new Remover(page).onUp(at(10, 10));

  assert.deepEqual([page.events(), page.done.toasts], [[], []]);
  page.stop();
});

test("choosing a tool tells the one before, and toggling it again goes back to points", () => {
  const { store, stop } = pageOf();
  const told = [];
  const tool = (name) => Object.assign(new Tool(), { onEnter: () => told.push(`${name} in`), onLeave: () => told.push(`${name} out`) });
  const toolbox = Object.assign(new Toolbox(store), { tools: { points: tool("points"), brush: tool("brush"), query: tool("query") } });

  toolbox.choose("brush");
  toolbox.choose("brush");
  toolbox.choose("query");
  toolbox.toggle("query");

  assert.deepEqual(told, ["points out", "brush in", "brush out", "query in", "query out", "points in"]);
  assert.equal(store.state.tool, "points");
  stop();
});

test("a key goes to the chosen tool first, then to that of the points", () => {
  const { store, stop } = pageOf(sceneOf(), { tool: "review" });
  const asked = [];
  const tool = (name, knows) => Object.assign(new Tool(), { onKey: ({ type }) => (asked.push(`${name} ${type}`), knows === type) });
  const toolbox = Object.assign(new Toolbox(store), { tools: { points: tool("points", "accept"), review: tool("review", "skip") } });

  assert.deepEqual([toolbox.onKey({ type: "skip" }), toolbox.onKey({ type: "accept" }), toolbox.onKey({ type: "heat" })], [true, true, false]);
  assert.deepEqual(asked, ["review skip", "review accept", "points accept", "review heat", "points heat"]);
  stop();
});
