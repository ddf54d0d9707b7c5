// @ts-nocheck
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Album } from "../../fcnlab/web/canvas/assets/answering/album.js";
import { Answering } from "../../fcnlab/web/canvas/assets/answering/answering.js";
import { actionOf, keyOf } from "../../fcnlab/web/canvas/assets/answering/keys.js";
import { sourcesOf, viewAround, viewOfAll } from "../../fcnlab/web/canvas/assets/answering/loupe.js";
import { Questioner } from "../../fcnlab/web/canvas/assets/answering/questioner.js";
import { EventLog } from "../../fcnlab/web/canvas/assets/protocol/log.js";
import { Routes } from "../../fcnlab/web/canvas/assets/protocol/routes.js";
import { shownAt } from "../../fcnlab/web/canvas/assets/state/view.js";
import { installDom, settled, StubElement, StubEvent } from "./support/dom.js";
import { Memory, Server } from "./support/tab.js";

installDom();

const UNKNOWN = -1;
const [SAND, CORAL] = [4, 7];

/** Four points in two images; the numbers of points are 11 to 14. */
function surveyOf(answers = [null, null, null, null]) {
  return {
    key: "k",
    look: "",
    survey_id: 3,
    survey_name: "Summer",
    labeller: "Ada",
    classes: [[SAND, "sand", "#ddcc77"], [CORAL, "coral", "#cc6677"]],
    images: [[1, "a.jpg", 900, 600, 0], [2, "b.jpg", 900, 600, 0]],
    points: answers.map((answer, place) => [11 + place, place < 2 ? 0 : 1, 100 + place, 200, answer]),
    tile_px: 512,
    batch: 500,
    unknown: UNKNOWN,
  };
}

function aTab({ survey = surveyOf(), memory = new Memory(), server = new Server() } = {}) {
  const log = new EventLog(memory, "log", () => "tab-of-test", survey.batch);
  const answering = new Answering(survey, log, server.send);
  after(() => answering.sender.stop());
  return { answering, memory, server, log };
}

const values = (batch) => batch.log.map(({ payload }) => [payload.point, payload.value]);

test("the next point is asked at once, before the server said anything", async () => {
  const { answering, server, log } = aTab();

  answering.answer(SAND);
  answering.answer(UNKNOWN);

  assert.equal(answering.asked.id, 13);
  await settled();
  assert.deepEqual(values(server.sent[0]), [[11, SAND], [12, UNKNOWN]]);
  assert.equal(log.pending.length, 2);
  await server.answer();
  assert.equal(log.pending.length, 0);
});

test("begins at the first point without an answer, and ends when there is none", () => {
  const { answering } = aTab({ survey: surveyOf([SAND, null, UNKNOWN, null]) });
  assert.deepEqual([answering.asked.id, answering.nAnswered], [12, 2]);

  answering.answer(CORAL);
  assert.equal(answering.asked.id, 14);
  answering.answer(CORAL);

  assert.ok(answering.isOver);
  assert.equal(answering.asked, null);
});

test("back takes the last answer back and asks again, also from the end and after a reload", async () => {
  const { answering, memory, server } = aTab({ survey: surveyOf([SAND, SAND, SAND, null]) });
  answering.answer(CORAL);
  answering.back();
  assert.deepEqual([answering.asked.id, answering.answerTo(answering.asked)], [14, null]);
  await settled();
  assert.deepEqual(server.sent.flatMap(values), [[14, CORAL], [14, null]]);

  const again = aTab({ survey: surveyOf([SAND, SAND, SAND, null]), memory }).answering;
  again.back();
  assert.deepEqual([again.asked.id, again.nAnswered], [13, 2]);
});

test("arrows go through what is answered, and nobody passes a point without an answer", () => {
  const { answering } = aTab({ survey: surveyOf([SAND, CORAL, null, null]) });
  answering.look(1);
  assert.equal(answering.asked.id, 13);

  answering.look(-1);
  answering.look(-1);
  answering.look(-1);
  assert.equal(answering.asked.id, 11);
  answering.answer(CORAL);
  assert.deepEqual([answering.asked.id, answering.answerTo(answering.points[0])], [12, CORAL]);
  answering.look(1);
  assert.equal(answering.asked.id, 13);
});

test("what could not be sent is kept by a reload of the tab, and sent again", async () => {
  const offline = new Server();
  offline.isReachable = false;
  const { answering, memory } = aTab({ server: offline });
  answering.answer(SAND);
  answering.answer(CORAL);
  await settled();
  answering.sender.stop();

  const { answering: again, server } = aTab({ memory });
  await settled();

  assert.equal(again.asked.id, 13);
  assert.deepEqual(values(server.sent[0]), [[11, SAND], [12, CORAL]]);
  await server.answer();
  assert.equal(again.log.pending.length, 0);
});

test("a refused answer is asked again, one about a deleted image is not, and both are explained", async () => {
  const { answering, server } = aTab();
  for (const value of [SAND, CORAL, SAND, SAND]) answering.answer(value);
  await settled();
  assert.ok(answering.isOver);

  await server.answer([{ point: 12, reason: "Its image was deleted", again: false }, { point: 13, reason: "The class was removed", again: true }]);

  assert.equal(answering.asked.id, 13);
  assert.equal(answering.problem, "The class was removed");
  answering.answer(CORAL);
  assert.ok(answering.isOver);
  await settled();
  await server.answer();
  assert.equal(answering.problem, "");
});

test("news of the server does not undo what this tab answered", () => {
  const { answering } = aTab();
  answering.answer(CORAL);

  answering.refresh(surveyOf([null, SAND, null, null]));

  assert.deepEqual([answering.answerTo(answering.points[0]), answering.answerTo(answering.points[1])], [CORAL, SAND]);
  assert.equal(answering.asked.id, 13);
});

test("classes have figures, then letters that mean nothing else", () => {
  const keys = Array.from({ length: 40 }, (_, place) => keyOf(place));
  assert.deepEqual([...keys.slice(0, 10), keys[39]], ["1", "2", "3", "4", "5", "6", "7", "8", "9", "a", ""]);
  const used = keys.filter(Boolean);
  assert.equal(new Set(used).size, used.length);
  for (const key of ["c", "r", "u", "z", "0"]) assert.ok(!used.includes(key), key);

  assert.deepEqual(actionOf({ key: "A" }), { type: "class", place: 9 });
  assert.deepEqual([actionOf({ key: "u" }), actionOf({ key: "0" })], [{ type: "unknown" }, { type: "unknown" }]);
  assert.deepEqual([actionOf({ key: "z" }), actionOf({ key: "Backspace" })], [{ type: "back" }, { type: "back" }]);
  assert.equal(actionOf({ key: "z", ctrlKey: true }), null);
  assert.equal(actionOf({ key: "Enter" }), null);
});

test("the point is in the middle of the loupe at every zoom, and the whole image fits its canvas", () => {
  const image = { id: 1, name: "a", width: 900, height: 600, levels: 0, tile_px: 512 };
  const point = { id: 1, image, row: 17, col: 803 };
  const size = { width: 500, height: 300 };
  let previous = 0;
  for (const zoom of [-2, 0, 3]) {
    const view = viewAround(point, size, zoom);
    const { sx, sy } = shownAt(view, 17, 803);
    assert.ok(Math.hypot(sx - 250, sy - 150) < 1e-9);
    assert.ok(view.scale > previous);
    previous = view.scale;
  }
  assert.deepEqual(viewOfAll(image, size), { scale: 0.5, x: 25, y: 0 });
});

test("a large image is drawn from the tiles around the point", () => {
  const image = { id: 5, name: "mosaic", width: 9000, height: 6000, levels: 5, tile_px: 512 };
  const size = { width: 400, height: 300 };
  const routes = new Routes("http://here/", "k");
  const point = { id: 1, image, row: 520, col: 1030 };

  const near = sourcesOf(image, viewAround(point, size, 4), size, 1, routes);
  assert.deepEqual(near.tiles.map(({ level, x, y }) => [level, x, y]).sort(), [[0, 1, 0], [0, 1, 1], [0, 2, 0], [0, 2, 1]]);
  assert.match(near.tiles[0].url, /tile\/5\/0\//);

  const far = sourcesOf(image, viewAround(point, size, 0), size, 1, routes);
  assert.ok(far.tiles.every(({ level }) => level === 2));
  assert.deepEqual(sourcesOf({ ...image, levels: 0 }, viewAround(point, size, 0), size, 1, routes).tiles, []);
});

/** Pictures that arrive when they are let. */
class SlowImage extends StubElement {
  static all = [];
  constructor() {
    super("img");
    SlowImage.all.push(this);
  }
  decode() {
    return new Promise((resolve, reject) => Object.assign(this, { arrive: resolve, fail: reject }));
  }
}

/** A questioner in a page that is laid out. */
function shownTab(options) {
  SlowImage.all = [];
  globalThis.Image = SlowImage;
  globalThis.ResizeObserver = class {
    observe() {}
    disconnect() {}
  };
  const tab = aTab(options);
  const root = new StubElement("div");
  globalThis.document.body.append(root);
  const left = [];
  const questioner = new Questioner(root, tab.answering, new Routes("http://here/", "k"), () => left.push(true));
  for (const canvas of root.querySelectorAll("canvas")) canvas.box = { left: 0, top: 0, width: 300, height: 200 };
  questioner.draw();
  after(() => questioner.stop());
  const press = (key) => globalThis.window.dispatchEvent(new StubEvent("keydown", { key, repeat: false, path: [globalThis.window] }));
  return { ...tab, root, questioner, left, press };
}

test("nothing is answered about an image that is not there yet, and the ones that follow are fetched ahead", async () => {
  const { answering, press, root } = shownTab();
  assert.deepEqual(SlowImage.all.map(({ src }) => src), ["http://here/fcnlab/k/image/1", "http://here/fcnlab/k/image/2"]);
  press("1");
  assert.equal(answering.nAnswered, 0);
  assert.match(root.textContent, /Loading the image/);

  for (const image of SlowImage.all) image.arrive();
  await settled();
  for (const key of ["1", "2", "u", "1"]) press(key);

  assert.deepEqual(answering.points.map((point) => answering.answerTo(point)), [SAND, CORAL, UNKNOWN, SAND]);
  assert.equal(SlowImage.all.length, 2, "each image is fetched once");
  assert.match(root.textContent, /All 4 points of this survey are answered/);
});

test("an image that cannot be loaded is said, and asked for again", async () => {
  const { root } = shownTab();
  SlowImage.all[0].fail(new Error("gone"));
  await settled();

  assert.match(root.textContent, /cannot be loaded/);
});

test("the report waits a moment for what is not saved", async () => {
  const { questioner, answering, server, left, root } = shownTab();
  for (const image of SlowImage.all) image.arrive();
  await settled();
  answering.answer(SAND);
  await settled();
  assert.match(root.textContent, /Saving 1 answer/);

  root.querySelector(".head").querySelectorAll("button")[0].click();
  assert.deepEqual(left, []);
  await server.answer();

  assert.deepEqual(left, [true]);
  assert.match(root.textContent, /All saved/);
  assert.ok(questioner);
});

test("names are shown as they are, and what was answered is marked", async () => {
  const survey = surveyOf([SAND, null, null, null]);
  survey.classes[0][1] = "<b>sand</b>";
  const { answering, root } = shownTab({ survey });
  assert.match(root.textContent, /<b>sand<\/b>/);

  answering.look(-1);

  const pressed = root.querySelectorAll("button").filter((tool) => tool.getAttribute("aria-pressed") === "true");
  assert.deepEqual(pressed.map((tool) => tool.title), ["Answer: <b>sand</b>"]);
  assert.match(root.textContent, /Another key changes it/);
});

test("an album keeps the newest pictures and forgets old ones", async () => {
  globalThis.Image = SlowImage;
  SlowImage.all = [];
  const album = new Album(() => {});
  for (let n = 0; n < 70; n += 1) album.get(`http://here/${n}`);
  for (const image of SlowImage.all) image.arrive();
  await settled();

  assert.ok(album.get("http://here/69"));
  assert.ok(album.pictures.size <= 64);
  album.stop();
});
