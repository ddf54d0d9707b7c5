// @ts-nocheck
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { EventLog } from "../../fcnlab/web/canvas/assets/protocol/log.js";
import { Routes } from "../../fcnlab/web/canvas/assets/protocol/routes.js";
import { KeyReader, keyOf } from "../../fcnlab/web/canvas/assets/tagging/keys.js";
import { NewsFollower } from "../../fcnlab/web/canvas/assets/tagging/news.js";
import { Tagger } from "../../fcnlab/web/canvas/assets/tagging/tagger.js";
import { Tagging } from "../../fcnlab/web/canvas/assets/tagging/tagging.js";
import { installDom, settled, StubElement, StubEvent } from "./support/dom.js";
import { Memory, Server } from "./support/tab.js";

installDom();

const [SAND, CORAL] = [4, 7];

const given = (rest = {}) => ({
  key: "k",
  look: "",
  labeller: "Ada",
  classes: [[SAND, "sand", "#ddcc77"], [CORAL, "coral", "#cc6677"]],
  images: [1, 2, 3, 4],
  start: null,
  batch: 500,
  ...rest,
});

const image = (id, sand = [null, null, null, null], coral = [null, null, null, null]) => ({
  id,
  name: `${id}.jpg`,
  width: 900,
  height: 600,
  levels: 0,
  tile_px: 512,
  tags: [[SAND, ...sand], [CORAL, ...coral]],
});

const news = (images, rest = {}) => ({ order: [1, 3, 2, 4], images, known: 0, total: 4, looked: 4, message: "", behind: false, ...rest });

function aTab({ data = given(), memory = new Memory(), server = new Server(), images = [1, 2, 3, 4].map((id) => image(id)), shown = null } = {}) {
  const log = new EventLog(memory, "log", () => "tab-of-test", data.batch);
  const tagging = new Tagging(data, log, server.send, shown);
  after(() => tagging.sender.stop());
  if (images) tagging.take(news(images), tagging.heard);
  return { tagging, memory, server, log };
}

const values = (batch) => batch.log.map(({ image_id: id, payload }) => [id, payload.class, payload.answer]);
const answers = (tagging, id = tagging.shown) => [SAND, CORAL].map((classId) => tagging.tagOf(id, classId).answer);

test("a class goes from unknown to yes to no to unknown, and the server hears of each", async () => {
  const { tagging, server } = aTab();
  const seen = [];
  for (let press = 0; press < 3; press += 1) {
    tagging.cycle(CORAL);
    seen.push(answers(tagging)[1]);
  }

  assert.deepEqual(seen, ["yes", "no", null]);
  await settled();
  assert.deepEqual(values(server.sent[0]), [[1, CORAL, "yes"], [1, CORAL, "no"], [1, CORAL, null]]);
});

test("accepting answers what is unknown as it is suggested, and nothing else", () => {
  const { tagging } = aTab({ images: [image(1, ["no", null, null, 0.9], [null, null, null, 0.5]), image(3, [null, "yes", "from points", 0.1], [null, null, null, 0.2])] });
  assert.deepEqual(tagging.suggested, [{ class: CORAL, answer: "yes" }]);

  tagging.accept();
  tagging.goDoubtful();
  assert.equal(tagging.shown, 3);
  tagging.accept();

  assert.deepEqual(answers(tagging, 1), ["no", "yes"]);
  assert.deepEqual(answers(tagging, 3), [null, "no"], "what points say is no answer");
  assert.deepEqual(tagging.suggested, []);
});

test("an acceptance is undone and done again as one, on the image it was of", () => {
  const { tagging } = aTab({ images: [image(1, [null, null, null, 0.9], [null, null, null, 0.1]), image(2)] });
  tagging.accept();
  tagging.go(1);

  tagging.undo();
  assert.deepEqual([tagging.shown, ...answers(tagging, 1)], [1, null, null]);
  tagging.go(1);
  tagging.redo();

  assert.deepEqual([tagging.shown, ...answers(tagging, 1)], [1, "yes", "no"]);
  tagging.undo();
  tagging.cycle(SAND);
  tagging.redo();
  assert.deepEqual(answers(tagging, 1), ["yes", null], "a new answer leaves nothing to do again");
});

test("what the server tells late does not take the place of what was answered meanwhile", async () => {
  const { tagging, server } = aTab();
  tagging.set(CORAL, "yes");
  const heard = tagging.heard;
  await settled();
  await server.answer();
  tagging.take(news([image(1)]), heard);
  assert.deepEqual(answers(tagging), [null, "yes"]);

  tagging.take(news([image(1, undefined, ["no", null, null, null])]), tagging.heard);

  assert.deepEqual(answers(tagging), [null, "no"], "somebody else answered since");
});

test("a reload finds what is not stored yet and sends it again, and shows the same image", async () => {
  const server = new Server();
  server.isReachable = false;
  const { tagging, memory } = aTab({ server });
  tagging.set(SAND, "no");
  await settled();

  const again = aTab({ memory, images: null, shown: 2 });
  assert.equal(again.tagging.shown, 2);
  again.tagging.take(news([image(1), image(2)]), again.tagging.heard);

  assert.deepEqual(answers(again.tagging, 1), ["no", null]);
  await settled();
  assert.deepEqual(values(again.server.sent[0]), [[1, SAND, "no"]]);
  await again.server.answer();
  assert.equal(again.log.pending.length, 0);
});

test("what is refused is said and forgotten", async () => {
  const { tagging, server, log } = aTab();
  tagging.set(SAND, "yes");
  await settled();
  await server.answer([{ image: 1, class: SAND, reason: "The image was deleted" }]);

  assert.equal(tagging.refusal, "1.jpg: The image was deleted");
  assert.deepEqual([answers(tagging), log.pending.length], [[null, null], 0]);
  tagging.go(1);
  assert.equal(tagging.refusal, "");
});

const conditions = (batch) => batch.log.map(({ payload }) => ("before" in payload ? [payload.answer, payload.before] : [payload.answer]));
const MEANWHILE = "Another answer was given meanwhile: 'sand' is not there, says Bob";

test("acceptances, undo and redo say which answer they are meant for; answers by key and mouse do not", async () => {
  const { tagging, server } = aTab({ images: [image(1, [null, null, null, 0.9])] });
  tagging.accept();
  tagging.undo();
  tagging.redo();
  tagging.cycle(SAND);
  tagging.undo();
  tagging.redo();
  tagging.set(SAND, null);
  await settled();

  assert.deepEqual(conditions(server.sent[0]), [["yes", null], [null, "yes"], ["yes", null], ["no"], ["yes", "no"], ["no", "yes"], [null]]);
});

test("an acceptance that came late gives way to the answer of somebody else, is said, and cannot be undone", async () => {
  const { tagging, server } = aTab({ images: [image(1, [null, null, null, 0.9], [null, null, null, 0.2]), image(2)] });
  let asked = 0;
  tagging.onStored = () => (asked += 1);
  tagging.accept();
  await settled();
  await server.answer([{ image: 1, class: SAND, reason: MEANWHILE }]);
  assert.deepEqual([tagging.refusal, asked], [`1.jpg: ${MEANWHILE}`, 1]);
  tagging.take(news([image(1, ["no", null, null, null], ["no", null, null, null])]), tagging.heard);
  assert.deepEqual(answers(tagging), ["no", "no"]);

  tagging.undo();
  await settled();

  assert.deepEqual(values(server.sent[1]), [[1, CORAL, null]]);
  assert.deepEqual(answers(tagging), ["no", null]);
});

test("what somebody else answered since, as far as it is told, is neither undone nor done again", async () => {
  for (const back of [false, true]) {
    const { tagging, server, log } = aTab({ images: [image(1, [null, null, null, 0.9], [null, null, null, 0.9]), image(2)] });
    tagging.accept();
    if (back) tagging.undo();
    await settled();
    await server.answer();
    tagging.go(1);
    tagging.take(news([image(1, ["no", null, null, null], [back ? null : "yes", null, null, null])]), tagging.heard);

    if (back) tagging.redo();
    else tagging.undo();

    assert.deepEqual([tagging.shown, ...answers(tagging, 1)], [1, "no", back ? "yes" : null]);
    assert.equal(tagging.refusal, "1.jpg: Somebody else answered meanwhile about 'sand', and that stays");
    assert.deepEqual(log.pending.map(({ payload }) => payload.class), [CORAL]);
    if (back) tagging.undo();
    else tagging.redo();
    assert.deepEqual(answers(tagging), ["no", back ? null : "yes"], "the rest of the step goes back and forth");
  }
});

test("an answer by key that followed a refused one is stored and stays", async () => {
  const { tagging, server } = aTab({ images: [image(1, [null, null, null, 0.9])] });
  tagging.accept();
  tagging.cycle(SAND);
  await settled();
  await server.answer([{ image: 1, class: SAND, reason: MEANWHILE }]);

  assert.deepEqual(answers(tagging), ["no", null]);
});

test("an answer that is not stored keeps its condition over a reload", async () => {
  const server = new Server();
  server.isReachable = false;
  const { tagging, memory } = aTab({ server, images: [image(1, [null, null, null, 0.9])] });
  tagging.accept();
  await settled();

  const again = aTab({ memory, images: null });
  await settled();

  assert.deepEqual(conditions(again.server.sent[0]), [["yes", null]]);
});

test("begins with the image most in doubt, and goes on to the next; those that were passed come last", () => {
  const { tagging } = aTab({ images: null });
  tagging.take(news([image(3)], { order: [3, 1, 2] }), 0);
  assert.equal(tagging.shown, 3);
  const shown = [];
  for (let press = 0; press < 4; press += 1) {
    tagging.goDoubtful();
    shown.push(tagging.shown);
  }
  assert.deepEqual(shown, [1, 2, 3, 1]);
});

test("news never takes away the image that somebody chose", () => {
  const { tagging } = aTab({ data: given({ start: 2 }), images: null });
  tagging.take(news([image(2)]), 0);
  assert.equal(tagging.shown, 2);
  tagging.go(1);
  tagging.take(news([image(3)]), 0);
  assert.deepEqual([tagging.shown, tagging.at(-1), tagging.at(1)], [3, 2, 4]);
  tagging.refresh(given({ start: 4 }));
  assert.equal(tagging.shown, 4);
});

test("labels that say otherwise contradict an answer, and imply one where there is none", () => {
  const { tagging } = aTab({ images: [image(1, ["no", "yes", "from mask", null], [null, "no", "from mask", null])] });

  assert.ok(tagging.tagOf(1, SAND).isContradicted);
  const coral = tagging.tagOf(1, CORAL);
  assert.deepEqual([coral.answer, coral.labelled, coral.isContradicted], [null, "no", false]);
});

test("keys: digits by their place on the keyboard, numbers after g, and the rest", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const acts = [];
  const reader = new KeyReader((action) => acts.push(action));
  const press = (key, rest = {}) => reader.read({ key, ...rest });

  press("1", { code: "Digit1" });
  press("!", { code: "Digit1", shiftKey: true });
  press("0");
  for (const key of ["g", "1", "2"]) press(key);
  for (const key of ["g", "3"]) press(key);
  context.mock.timers.tick(900);
  for (const key of [" ", "a", "Enter", "n", "p", "z"]) press(key);
  press("Z", { shiftKey: true });
  press("z", { ctrlKey: true });
  assert.equal(press("x"), false);
  assert.equal(press("1", { altKey: true }), false);

  const places = acts.filter(({ place }) => place !== undefined).map(({ type, place }) => [type, place]);
  assert.deepEqual(places, [["cycle", 0], ["no", 0], ["cycle", 9], ["cycle", 11], ["cycle", 2]]);
  assert.deepEqual(acts.slice(5).map(({ type }) => type), ["accept", "accept", "doubtful", "next", "previous", "undo", "redo", "undo"]);
  assert.deepEqual([keyOf(0), keyOf(9), keyOf(10)], ["1", "0", "g 11"]);
});

test("news is asked for once at a time, and again at once where it was wanted meanwhile", async () => {
  const asked = [];
  const follower = new NewsFollower({
    address: () => "/tags",
    heard: () => asked.length,
    onNews: () => {},
    onGone: () => {},
    fetch: () => new Promise((resolve) => asked.push(resolve)),
  });
  after(() => follower.stop());
  follower.ask();
  follower.ask();
  assert.equal(asked.length, 1);

  asked[0]({ ok: true, status: 200, json: async () => news([]) });
  await settled();

  assert.equal(asked.length, 2);
});

test("a project that is gone is not asked for any more, and that is said", async () => {
  const said = [];
  let n = 0;
  const follower = new NewsFollower({
    address: () => "/tags",
    heard: () => 0,
    onNews: () => {},
    onGone: (words) => said.push(words),
    fetch: async () => ((n += 1), { ok: false, status: 410, text: async () => "This project was deleted" }),
  });
  follower.ask();
  await settled();
  follower.ask();
  await settled();

  assert.deepEqual([said, n], [["This project was deleted"], 1]);
});

/** A page with an image that is seen. */
function aPage(parts) {
  globalThis.fetch = () => new Promise(() => {});
  globalThis.ResizeObserver = class {
    observe() {}
    disconnect() {}
  };
  globalThis.Image = class {
    decode() {
      return new Promise(() => {});
    }
  };
  const tab = aTab(parts);
  const root = new StubElement("div");
  root.box = { left: 0, top: 0, width: 900, height: 600 };
  globalThis.document.body.append(root);
  const tagger = new Tagger(root, tab.tagging, new Routes("/", "k"), () => {});
  after(() => tagger.stop());
  tagger.draw = () => {};
  tagger.isSeen = true;
  const press = (key) => globalThis.window.dispatchEvent(new StubEvent("keydown", { key, repeat: false, path: [globalThis.window] }));
  return { ...tab, root, tagger, press };
}

test("a number being typed answers about the image that it was typed for, whatever the mouse does meanwhile", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const moves = {
    next: ({ tagger }) => tagger.sheet.next.click(),
    doubtful: ({ tagger }) => tagger.sheet.doubtful.click(),
    address: ({ tagger }) => tagger.refresh(given({ start: 3 })),
  };
  for (const [name, move] of Object.entries(moves)) {
    const page = aPage();
    for (const key of ["g", "2"]) page.press(key);
    move(page);
    context.mock.timers.tick(900);

    assert.notEqual(page.tagging.shown, 1, name);
    assert.deepEqual(page.log.pending.map(({ image_id: id, payload }) => [id, payload.class]), [[1, CORAL]], name);
    page.tagger.stop();
  }
});

test("a number being typed is answered before the mouse answers, and its undo takes it back", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { tagger, tagging, press } = aPage();
  for (const key of ["g", "2"]) press(key);
  tagger.sheet.byClass.get(CORAL).choices.find(({ answer }) => answer === "no").tool.click();
  context.mock.timers.tick(900);
  assert.deepEqual(answers(tagging), [null, "no"]);

  for (const key of ["g", "1"]) press(key);
  tagger.sheet.undo.click();
  context.mock.timers.tick(900);
  assert.deepEqual(answers(tagging), [null, "no"]);
});

test("a page drawn anew with the same image and classes leaves a number being typed alone", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { tagger, tagging, press } = aPage();
  for (const key of ["g", "0"]) press(key);
  tagger.refresh(given());
  press("2");

  assert.deepEqual(answers(tagging), [null, "yes"]);
});

test("no news takes the image away of which a number is being typed", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { tagging, press } = aPage({ images: null });
  for (const key of ["g", "2"]) press(key);
  tagging.take(news([image(1), image(3)], { order: [3, 1] }), 0);
  context.mock.timers.tick(900);

  assert.deepEqual([tagging.shown, ...answers(tagging, 1)], [1, null, "yes"]);
});

test("a page that is left drops the number being typed", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { tagger, log, press } = aPage();
  for (const key of ["g", "2"]) press(key);
  tagger.stop();
  context.mock.timers.tick(900);
  tagger.keys.finish();

  assert.equal(log.pending.length, 0);
});

test("the page answers by keys once the image is seen, and says what labels and suggestions say", async () => {
  const { tagging, log, root, tagger, press } = aPage({ images: [image(1, ["no", "yes", "from points", null], [null, null, null, 0.83])] });

  assert.match(root.textContent, /Answered no, but points say yes/);
  assert.match(root.textContent, /83 %/);
  assert.match(root.textContent, /Accept 1 suggestion/);
  tagger.isSeen = false;
  press("2");
  assert.equal(log.pending.length, 0, "nobody answers about what is not there");
  tagger.isSeen = true;
  press("2");

  assert.deepEqual(answers(tagging), ["no", "yes"]);
  assert.match(root.textContent, /Saving 1 answer/);
});

test("the page says that somebody else answered meanwhile", async () => {
  const { tagging, server, root } = aPage({ images: [image(1, [null, null, null, 0.9])] });
  tagging.accept();
  await settled();
  await server.answer([{ image: 1, class: SAND, reason: MEANWHILE }]);

  assert.match(root.textContent, /1\.jpg: Another answer was given meanwhile/);
});
