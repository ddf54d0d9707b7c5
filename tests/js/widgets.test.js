import assert from "node:assert/strict";
import { test } from "node:test";

import { DEFAULT_DISPLAY } from "../../fcnlab/web/canvas/assets/state/settings.js";
import { BrushBar } from "../../fcnlab/web/canvas/assets/widgets/brushbar.js";
import { ClassBar } from "../../fcnlab/web/canvas/assets/widgets/classbar.js";
import { button, h, onArrows } from "../../fcnlab/web/canvas/assets/widgets/dom.js";
import { Help } from "../../fcnlab/web/canvas/assets/widgets/help.js";
import { Notes } from "../../fcnlab/web/canvas/assets/widgets/hints.js";
import { Popovers, Toasts } from "../../fcnlab/web/canvas/assets/widgets/popover.js";
import { Prompt } from "../../fcnlab/web/canvas/assets/widgets/prompt.js";
import { ReviewBar } from "../../fcnlab/web/canvas/assets/widgets/reviewbar.js";
import { Speech } from "../../fcnlab/web/canvas/assets/widgets/speech.js";
import { StatusBar } from "../../fcnlab/web/canvas/assets/widgets/statusbar.js";
import { Toolbar } from "../../fcnlab/web/canvas/assets/widgets/toolbar.js";
import { fire, installDom, StubElement } from "./support/dom.js";
import { CLASSES, imageOf } from "./support/page.js";

installDom();

/** A record of calls, with a function for any name. */
function recorder() {
  const calls = [];
  return { calls, actions: new Proxy({}, { get: (_, name) => (...values) => void calls.push([name, ...values]) }) };
}

const said = (element) => element.textContent;
/** Elements of a widget that are not hidden, by what is on them. */
const visible = (elements) => elements.filter((element) => !element.hidden).map(said);

test("text is never markup", () => {
  const element = h("div", {}, "<b>name</b>");

  assert.equal(element.children.length, 0);
  assert.equal(said(element), "<b>name</b>");
});

test("a button is called by its words, without words by its title, and leaves the focus alone", () => {
  let n = 0;
  const [bare, worded] = [button("Undo (z)", "undo", () => (n += 1)), button("Skip it (s)", null, () => {}, { key: "s", text: "Skip" })];

  bare.click();
  assert.deepEqual([n, bare.getAttribute("aria-label"), worded.getAttribute("aria-label"), said(worded)], [1, "Undo", null, "s Skip"]);
  assert.equal(fire(bare, "mousedown").defaultPrevented, true);
});

test("arrows step through a list that has the focus, Enter and Space choose, other keys are nothing to it", () => {
  const list = h("div", { class: "list" });
  const steps = [];
  onArrows(list, ".list", { onStep: (step) => steps.push(step), onChoose: () => steps.push("choose") });

  for (const key of ["ArrowRight", "ArrowUp", "Home", "End", "Enter", " ", "x"]) fire(list, "keydown", { key });
  fire(list, "keydown", { key: "ArrowRight", ctrlKey: true });
  const inner = new StubElement("input");
  list.append(inner);
  fire(inner, "keydown", { key: "ArrowRight" });

  assert.deepEqual(steps, [1, -1, -Infinity, Infinity, "choose", "choose"]);
});

const FACTS = { nImages: 3, isDone: false, nMarks: 2, isComplete: false, nObjects: 2, nOpen: 0, canUndo: true, canRedo: false };

function toolbar(counts = false) {
  const { calls, actions } = recorder();
  const bar = new Toolbar(actions, { toggle: (...values) => calls.push(["toggle", ...values]) }, counts);
  bar.setDisplay(DEFAULT_DISPLAY);
  return { bar, calls };
}

test("the toolbar offers what can be done with the image", () => {
  const { bar, calls } = toolbar();

  bar.setImage(imageOf(1, { next_id: null }), FACTS);
  assert.deepEqual([bar.undo, bar.redo, bar.clear, bar.previous, bar.next, bar.done].map(({ disabled }) => disabled), [false, true, false, true, true, false]);
  assert.deepEqual([said(bar.place), said(bar.done)], ["1 / 3", "Done"]);
  bar.done.click();
  bar.setImage(imageOf(1), { ...FACTS, isDone: true });
  assert.deepEqual([bar.clear.disabled, bar.brush.disabled, said(bar.done)], [true, true, "Reopen"]);
  bar.done.click();
  bar.setImage(null, FACTS);
  assert.deepEqual([bar.done.disabled, bar.ask.disabled, said(bar.place)], [true, true, ""]);
  assert.deepEqual(calls, [["done"], ["reopen"]]);
});

test("where a project counts, all marked takes the place of done", () => {
  const { bar, calls } = toolbar(true);

  bar.setImage(imageOf(1), { ...FACTS, nOpen: 3 });
  assert.match(bar.done.title, /asks about 3 found objects first/);
  bar.setImage(imageOf(1), { ...FACTS, nObjects: 0 });
  assert.equal(said(bar.done), "No objects here");
  bar.setImage(imageOf(1), { ...FACTS, isComplete: true });
  assert.deepEqual([said(bar.done), bar.done.getAttribute("aria-pressed")], ["All marked", "true"]);
  bar.done.click();
  assert.deepEqual(calls, [["complete"]]);
});

test("the toolbar shows how the picture is shown, and which tool is chosen", () => {
  const { bar, calls } = toolbar();

  bar.setDisplay({ ...DEFAULT_DISPLAY, overlay: false, mode: "probability" });
  assert.deepEqual([bar.opacity.disabled, bar.contour.disabled, bar.eye.getAttribute("aria-pressed")], [true, true, "false"]);
  bar.eye.click();
  bar.setTool("eraser");
  bar.setAsking(true);
  assert.deepEqual([bar.brush, bar.eraser, bar.remover, bar.ask].map((tool) => tool.getAttribute("aria-pressed")), ["false", "true", "false", "true"]);
  bar.opacity.value = "0.3";
  fire(bar.opacity, "input");
  assert.deepEqual(calls, [["show", { overlay: true }], ["show", { opacity: 0.3, overlay: true }]]);
});

test("brightness and contrast are changed in a panel, and set back together", () => {
  const { bar, calls } = toolbar();
  bar.light.click();
  const [, , panel] = calls[0];

  const [brightness, contrast] = panel.querySelectorAll("input");
  contrast.value = "2";
  fire(contrast, "input");
  panel.querySelector("button").click();

  assert.deepEqual(calls.slice(1), [["show", { contrast: 2 }], ["show", { brightness: 1, contrast: 1 }]]);
  assert.deepEqual([brightness.value, contrast.value], ["1", "1"]);
});

function classbar(options = {}) {
  const { calls, actions } = recorder();
  const panels = [];
  const popovers = {
    close: () => panels.pop(),
    toggle: (_anchor, panel, { label }) => panels.push({ panel, label }),
    ask: (_anchor, question, answers) => panels.push({ question, answers }),
  };
  const bar = new ClassBar(actions, popovers, { tells: false, maxClasses: 255, nameChars: 80, ...options });
  const update = (classes = CLASSES, isOpen = true) => bar.update(classes, 1, new Map([[1, 12]]), isOpen, ["#112233", "#445566"]);
  update();
  const fill = (name, text) => Object.assign(panels[0].panel.querySelector("input[type=\"text\"]"), { value: text }) && name;
  const press = (words) => panels[0].panel.querySelectorAll("button").find((tool) => said(tool) === words).click();
  return { bar, calls, panels, update, fill, press };
}

test("classes stand in their order, with keys and points; the current one is marked", () => {
  const { bar, update, calls } = classbar();
  const rows = () => bar.list.children.map((row) => [row.querySelector(".name"), row.querySelector(".count"), row.querySelector("kbd")].map(said));

  assert.deepEqual(rows(), [["soil", "0", "1"], ["root", "12", "2"], ["stone", "0", "3"]]);
  assert.deepEqual(bar.list.querySelectorAll(".class").map((row) => row.getAttribute("aria-checked")), ["false", "true", "false"]);
  update([CLASSES[2], CLASSES[1]]);
  assert.deepEqual(rows().map(([name]) => name), ["stone", "root"]);
  bar.list.querySelector(".class").click();
  assert.deepEqual(calls, [["onChoose", 2]]);
});

test("Tab leads to the current class alone; arrows move on, and only Enter or Space chooses", () => {
  const { bar, calls, update } = classbar();
  const reachable = (selector) => bar.list.querySelectorAll(selector).map((part) => part.getAttribute("tabindex"));
  const press = (key) => fire(globalThis.document.activeElement, "keydown", { key });

  assert.deepEqual([reachable(".class"), reachable(".edit")], [["-1", "0", "-1"], ["-1", "0", "-1"]]);
  bar.list.querySelectorAll(".class")[1].focus();
  press("ArrowDown");
  assert.equal(said(globalThis.document.activeElement.querySelector(".name")), "stone");
  update(); // a click elsewhere redraws the list, and the focus stays where it is
  assert.deepEqual([reachable(".class"), calls], [["-1", "-1", "0"], []]);
  press(" ");
  press("Home");
  press("Enter");
  bar.list.querySelectorAll(".edit")[2].focus();
  press("ArrowUp"); // belongs to no class
  assert.deepEqual(calls, [["onChoose", 2], ["onLeave"], ["onChoose", 0], ["onLeave"]]);
});

test("a new class has a name that no other has, and the first colour that is free", () => {
  const { bar, calls, panels, fill, press } = classbar();
  bar.add.click();
  fill("name", " Root ");
  press("Add");
  assert.match(said(panels[0].panel), /There is a class Root already/);
  fill("name", "leaf");
  press("Add");

  assert.deepEqual([calls, panels.length], [[["onAdd", "leaf", "#112233"]], 0]);
});

test("a class is renamed, made the background, and removed after a question", () => {
  const { bar, calls, panels, fill, press } = classbar();
  const edit = () => bar.list.children[1].querySelector(".edit").click();
  edit();
  fill("name", "tap root");
  panels[0].panel.querySelector("input[type=\"checkbox\"]").checked = true;
  press("Save");
  edit();
  press("Remove");
  assert.match(panels[0].question, /Remove class root\? Its 12 points will no longer be used/);
  panels[0].answers[0].act();

  assert.deepEqual(calls, [["onEdit", 1, "tap root", "#ff0000"], ["onBackground", 1], ["onRemove", 1]]);
});

test("no class is added beyond what a project may have, or while there is no image", () => {
  assert.equal(classbar({ maxClasses: 3 }).bar.add.disabled, true);
  const { bar, panels, update } = classbar();
  update(CLASSES, false);
  bar.list.children[1].querySelector(".edit").click();

  assert.deepEqual([bar.add.disabled, panels], [true, []]);
});

test("the bar of the brush shows what is painted, and its slider goes by equal factors", () => {
  const { calls, actions } = recorder();
  const bar = new BrushBar({ onTake: actions.take, onResize: actions.resize, onLeave: actions.leave });
  const limits = { smallest: 2, largest: 200 };

  bar.update({ tool: "brush", label: CLASSES[1], size: 20, limits });
  assert.deepEqual([bar.element.hidden, said(bar.className), said(bar.size), bar.slider.value], [false, "root", "20 px", "50"]);
  bar.slider.value = "100";
  fire(bar.slider, "input");
  bar.tools[1].click();
  bar.update({ tool: "eraser", label: CLASSES[1], size: 20, limits });
  assert.equal(said(bar.className), "Predicted mask");
  bar.update({ tool: null, label: undefined, size: 20, limits });
  assert.equal(bar.element.hidden, true);
  assert.deepEqual([calls[0][0], Math.round(calls[0][1]), calls[1]], ["resize", 200, ["take", "eraser"]]);
});

const QUERY = {
  phase: "asking", strategy: "margin", problem: "", asked: { row: 1, col: 2, source: "query" }, place: { number: 2, of: 10 },
  tally: { answer: 1, skip: 0, unsure: 0 }, canGoBack: true,
};

test("the prompt asks, with a key for each class, and says what follows", () => {
  const { calls, actions } = recorder();
  const prompt = new Prompt(actions, 10);
  const shown = (change, classes = CLASSES) => (prompt.update({ ...QUERY, ...change }, classes), said(prompt.question));

  assert.equal(shown({}), "What is in the ring?");
  assert.deepEqual([said(prompt.place), prompt.classes.children.map(said)], ["2 of 10", ["1 soil", "2 root", "3 stone"]]);
  assert.deepEqual(visible([prompt.skip, prompt.unsure, prompt.back, prompt.more, prompt.next]), ["s Skip", "u Unsure", "z Back"]);
  prompt.classes.children[2].click();
  prompt.skip.click();
  assert.equal(shown({ phase: "over", asked: null, tally: { answer: 8, skip: 1, unsure: 1 } }), "8 pixels answered, 1 skipped, 1 unsure");
  assert.deepEqual(visible([prompt.skip, prompt.back, prompt.more, prompt.next]), ["z Back", "m 10 more here", "Enter Next image"]);
  assert.equal(shown({ phase: "failed", asked: null, problem: "no mask yet" }), "no mask yet");
  prompt.update(null, CLASSES);
  assert.equal(prompt.element.hidden, true);
  assert.deepEqual(calls, [["onAnswer", 2], ["onPass", "skip"]]);
});

test("pixels drawn at random for want of a mask are said to be; classes above nine have no key of their own", () => {
  const prompt = new Prompt(recorder().actions, 10);
  const many = Array.from({ length: 12 }, (_, id) => ({ ...CLASSES[1], id, name: `class ${id}` }));

  prompt.update({ ...QUERY, asked: { row: 1, col: 2, source: "random_query" } }, many);

  assert.match(said(prompt.note), /drawn at random/);
  assert.deepEqual([prompt.classes.children.length, said(prompt.classes.children.at(-1))], [10, "g, then a number: 3 more classes"]);
});

test("the review says what it asks, how sure the counter is, and what is left", () => {
  const { calls, actions } = recorder();
  const bar = new ReviewBar(actions);
  const facts = { classes: CLASSES, nLeft: 4, nObjects: 9 };
  const asked = { row: 1, col: 2, classId: 1, number: 3, score: 0.456, isMarked: false };

  bar.update({ asked, canGoBack: false, nSkipped: 0 }, facts);
  assert.deepEqual([said(bar.question), said(bar.place), bar.back.disabled, bar.next.hidden], ["Is this: root?", "46 % sure, 4 to go", true, true]);
  bar.reject.click();
  bar.update({ asked: null, canGoBack: true, nSkipped: 2 }, facts);
  assert.deepEqual([said(bar.question), bar.accept.hidden, bar.next.hidden], ["Nothing is left but 2 skipped objects.", true, false]);
  bar.update({ asked: null, canGoBack: false, nSkipped: 0 }, { ...facts, nObjects: 0 });
  assert.deepEqual([said(bar.question), bar.next.hidden], ["Nothing was counted here yet.", true]);
  bar.update(null, facts);
  assert.deepEqual([bar.element.hidden, calls.map(([name]) => name)], [true, ["onReject"]]);
});

function popovers() {
  const root = new StubElement("div");
  globalThis.document.body.append(root);
  const page = { image: 1 };
  const home = new StubElement("div");
  const end = new AbortController();
  const panels = new Popovers(root, end.signal, { subject: () => page.image, home: () => home });
  const anchor = new StubElement("button");
  root.append(anchor);
  return { root, panels, page, home, anchor };
}

test("a question is answered once, and the answer that changes nothing has the focus", () => {
  const { root, panels, anchor } = popovers();
  let n = 0;
  panels.ask(anchor, "Remove 9 points?", [{ text: "Remove", act: () => (n += 1) }], () => 9);

  const [cancel, remove] = root.querySelector(".popover").querySelectorAll("button");
  assert.equal(globalThis.document.activeElement, cancel);
  remove.click();
  remove.click();
  assert.deepEqual([n, root.querySelector(".popover")], [1, null]);
});

test("a question that is out of date is closed, and its answer does nothing", () => {
  const { panels, page, anchor, root } = popovers();
  let nPoints = 9;
  let n = 0;
  const ask = () => panels.ask(anchor, `Remove ${nPoints} points?`, [{ text: "Remove", act: () => (n += 1) }], () => nPoints);
  ask();
  const remove = root.querySelector(".popover").querySelectorAll("button")[1];
  nPoints = 10;
  remove.click();
  assert.equal(n, 0);

  ask();
  page.image = 2;
  panels.check();
  assert.equal(panels.open, null);
});

test("Escape and a press elsewhere close a panel; a second click on its button too", () => {
  const { panels, anchor, root, home } = popovers();
  const open = () => panels.toggle(anchor, h("div", {}, button("a", null, () => {})), { label: "Panel" });

  open();
  assert.equal(anchor.getAttribute("aria-expanded"), "true");
  fire(root.querySelector(".popover"), "keydown", { key: "Escape" });
  assert.deepEqual([panels.open, globalThis.document.activeElement], [null, home]);
  open();
  fire(root.querySelector(".popover").querySelector("button"), "pointerdown");
  assert.notEqual(panels.open, null);
  fire(root, "pointerdown");
  assert.equal(panels.open, null);
  open();
  open();
  assert.equal(panels.open, null);
});

test("notices stay a while, three at most, none twice; what can be answered stays longer", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const toasts = new Toasts();
  const lines = () => toasts.element.children.map((line) => line.firstChild.textContent);

  for (const text of ["one", "two", "two", "three", "four"]) toasts.show(text);
  assert.deepEqual(lines(), ["two", "three", "four"]);
  toasts.show("five", "good", [h("a", {}, "Train")]);
  context.mock.timers.tick(6000);
  assert.deepEqual(lines(), ["five"]);
  toasts.element.querySelector("a").click();
  assert.deepEqual(lines(), []);
  toasts.stop();
});

test("the list of keys is of the project's kind, and opens and closes", () => {
  const [help, counting] = [new Help(false), new Help(true)];

  assert.match(said(help.dialog), /suggest more pixels/);
  assert.match(said(counting.dialog), /accept \/ reject/);
  help.toggle();
  assert.equal(help.isOpen, true);
  fire(help.dialog, "click");
  assert.equal(help.isOpen, false);
});

test("notes above the picture say what is missing, what is shown and what comes first", () => {
  const { calls, actions } = recorder();
  const notes = new Notes(actions);

  notes.setEmpty(false, 0, "projects?project=1");
  assert.deepEqual([notes.empty.hidden, said(notes.emptyTitle), notes.emptyLink.hidden, notes.emptyLink.href], [false, "No images yet", false, "projects?project=1"]);
  notes.setPicture("failed");
  assert.deepEqual([notes.veil.hidden, said(notes.veilText)], [false, "The image did not load. Trying again…"]);
  notes.setPicture("shown");
  assert.equal(notes.veil.hidden, true);
  notes.setLegend("probability", true, "Probability of root");
  assert.deepEqual([notes.legend.hidden, said(notes.rampName), notes.rampEnds[0].hidden], [false, "Probability of root", false]);
  notes.setLegend("difference", true, "2.0 % of the pixels differ");
  assert.deepEqual([notes.legend.hidden, notes.rampEnds[0].hidden], [false, true]);
  notes.setLegend("mask", true, "root");
  assert.equal(notes.legend.hidden, true);
  notes.setHint(true, CLASSES, { currentId: 1, counts: false });
  assert.equal(notes.steps.children.length, 3);
  notes.setTyped("1");
  assert.equal(said(notes.typed), "Class 1");
  notes.setTyped(null);
  assert.equal(notes.typed.hidden, true);
  for (const answer of notes.taking.querySelectorAll("button")) answer.click();
  notes.banner.querySelector("button").click();
  notes.hint.querySelector("button").click();
  assert.deepEqual(calls.map(([name]) => name), ["onTake", "onTake", "onReopen", "onHintClose"]);
});

test("what is done twice is said twice, and of what passes by only the end", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const speech = new Speech();
  const texts = [];
  const hear = (act) => (act(), texts.push(said(speech.element)));

  hear(() => speech.say("root"));
  hear(() => speech.say("root"));
  hear(() => ["Row 1", "Row 2", "Row 3"].forEach((text) => speech.later(text)));
  hear(() => context.mock.timers.tick(1000));

  assert.deepEqual(texts.map((text) => text.trim()), ["root", "root", "root", "Row 3"]);
  assert.notEqual(texts[0], texts[1]); // else a screen reader hears no news
  assert.deepEqual([speech.element.getAttribute("role"), speech.element.getAttribute("aria-live")], ["status", "polite"]);
});

test("work that ends in a moment changes no words in the status line", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const status = new StatusBar({ onLeft: () => {} });
  const learner = (text, tone, progress = null) => status.setLearner({ text, tone, progress }, "");

  learner("Mask up to date", "good");
  learner("Learning", "busy");
  assert.deepEqual([said(status.learner), status.learner.dataset.tone], ["Mask up to date", "busy"]);
  context.mock.timers.tick(100);
  learner("Mask up to date", "good");
  context.mock.timers.tick(1000);
  assert.equal(said(status.learner), "Mask up to date");
  learner("Reading the image", "busy", 0.4);
  context.mock.timers.tick(1000);
  assert.deepEqual([said(status.learner), status.progress.hidden, status.bar.style.width], ["Reading the image", false, "40%"]);
  status.setSaving({ text: "Offline: 2 changes kept in this tab", tone: "bad" });
  assert.equal(said(status.saving), "Offline: 2 changes kept in this tab");
  status.stop();
});

test("the status line says what is under the cursor, and how large the picture is shown", () => {
  const status = new StatusBar({ onLeft: () => {} });

  status.setCursor({ row: 3, col: 4 }, { text: "root", colour: "#ff0000" });
  status.setZoom(0.0234);
  assert.deepEqual([said(status.readout), said(status.classWord), said(status.zoom)], ["row 3  col 4", "root", "2.3 %"]);
  status.setCursor(null, { text: "root", colour: "#ff0000" });
  status.setZoom(null);
  assert.deepEqual([said(status.readout), said(status.classWord), status.chip.hidden, said(status.zoom)], ["", "", true, ""]);
  status.setSpans("Server, ms: fit 3.0");
  assert.equal(status.updated.title, "Server, ms: fit 3.0");
});
