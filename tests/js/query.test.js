import assert from "node:assert/strict";
import { test } from "node:test";

import { PassedOver } from "../../fcnlab/web/canvas/assets/state/settings.js";
import { QueryTool } from "../../fcnlab/web/canvas/assets/tools/query.js";
import { Tool } from "../../fcnlab/web/canvas/assets/tools/tool.js";
import { settled } from "./support/dom.js";
import { imageOf, pageOf, sceneOf } from "./support/page.js";

const answer = (body, status = 200) => ({ ok: status < 300, status, json: async () => body, text: async () => body });

/** @param {object[]} answers of the server, one after the other; the last is given again */
async function querying(answers, { scene = sceneOf(), begin = true } = {}) {
  const page = pageOf(scene);
  const asked = [];
  const passedOver = new PassedOver(null, "key");
  const query = new QueryTool({
    ...page,
    passedOver,
    routes: { queries: (wanted) => wanted, ranked: () => "ranked" },
    fetch: async (wanted) => (asked.push(wanted), answers.length > 1 ? answers.shift() : answers[0]),
  });
  page.toolbox.tools = { points: new Tool(), query };
  page.store.subscribe(["labelled"], () => query.follow());
  const stored = () => {
    const { log } = page.labelling;
    page.labelling.receive({ ...page.store.state.scene, acknowledged: { client_id: log.clientId, seq: log.lastSeq } });
    page.store.set({ labelled: page.labelling.now() });
  };
  if (begin) page.toolbox.choose("query");
  await settled();
  return { ...page, query, asked, passedOver, stored };
}

const ROUND = answer({ source: "query", pixels: [[1, 2], [3, 4], [5, 6]] });

test("a round is asked pixel by pixel, and each answer is a point there", async () => {
  const { query, store, done, events, stop } = await querying([ROUND]);

  assert.deepEqual(store.state.query.asked, { row: 1, col: 2, source: "query" });
  query.onKey({ type: "class", number: 3 });
  query.onKey({ type: "class", number: 1 });

  assert.deepEqual(events(), [
    { kind: "add", row: 1, col: 2, class_id: 2, source: "query" },
    { kind: "add", row: 3, col: 4, class_id: 0, source: "query" },
  ]);
  assert.deepEqual(store.state.query.place, { number: 3, of: 3 });
  assert.deepEqual(done.stage.at(-1), ["approach", { row: 5, col: 6, source: "query" }]);
  stop();
});

test("while a pixel is asked the mask is hidden, unless it is wanted; clicks mean nothing", async () => {
  const { query, store, events, toolbox, stop } = await querying([ROUND]);

  assert.equal(store.state.isMaskHidden, true);
  query.onKey({ type: "overlay" });
  assert.equal(store.state.isMaskHidden, false);
  query.onUp({ sx: 5, sy: 5 });
  query.onRemove({ sx: 5, sy: 5 });
  toolbox.choose("points");
  assert.deepEqual([store.state.isMaskHidden, store.state.query, events()], [false, null, []]);
  stop();
});

test("undo goes back to the pixel answered last and takes its point back; redo goes on", async () => {
  const { query, store, done, events, stop } = await querying([ROUND]);
  query.answer(1);
  query.pass("skip");

  query.onKey({ type: "undo" });
  assert.deepEqual([store.state.query.asked.row, events().length], [3, 1]); // a skipped pixel has no point
  query.onKey({ type: "undo" });
  assert.deepEqual([store.state.query.asked.row, events().map(({ kind }) => kind)], [1, ["add", "undo"]]);
  query.onKey({ type: "redo" });
  assert.deepEqual([store.state.query.asked.row, events().map(({ kind }) => kind)], [3, ["add", "undo", "redo"]]);
  query.onKey({ type: "redo" });
  assert.deepEqual([store.state.query.asked.row, events().length, done.toasts], [5, 3, []]); // skipped again
  stop();
});

test("undo of what another tool did is no step back", async () => {
  const { query, store, labelling, stop } = await querying([ROUND]);
  query.answer(1);
  labelling.record("add", { row: 9, col: 9, class_id: 1 });

  query.back();

  assert.equal(store.state.query.asked.row, 3);
  stop();
});

test("at the end of a round its tally is told, and another one is asked for on demand", async () => {
  const { query, store, asked, stored, stop } = await querying([ROUND, answer({ source: "random_query", pixels: [[7, 8]] })]);
  for (const act of ["skip", "unsure"]) query.pass(act);
  query.answer(1);

  assert.deepEqual([store.state.query.phase, store.state.query.tally], ["over", { answer: 1, skip: 1, unsure: 1 }]);
  stored();
  query.onKey({ type: "more" });
  await settled();

  assert.deepEqual(store.state.query.asked, { row: 7, col: 8, source: "random_query" });
  assert.deepEqual(asked[1], { imageId: 1, count: 10, how: "margin", avoid: [[1, 2], [3, 4]] });
  stop();
});

test("pixels passed over are remembered, and not asked again later", async () => {
  const first = await querying([ROUND]);
  first.query.pass("skip");
  first.toolbox.choose("points");
  first.toolbox.choose("query");
  await settled();

  assert.deepEqual(first.asked.map(({ avoid }) => avoid), [[], [[1, 2]]]);
  first.stop();
});

test("pixels are asked for only once every click is stored", async (context) => {
  const page = await querying([ROUND], { begin: false });
  page.labelling.record("add", { row: 9, col: 9, class_id: 1 });
  context.mock.timers.enable({ apis: ["setTimeout"] });

  page.toolbox.choose("query");
  await settled();
  assert.deepEqual([page.asked, page.store.state.query.phase], [[], "waiting"]);
  page.stored();
  context.mock.timers.tick(100);
  await settled();

  assert.equal(page.asked.length, 1);
  page.stop();
});

test("what the server refuses is said; what it does not answer is asked again", async (context) => {
  const refused = await querying([answer("no mask of this image", 409)]);
  assert.deepEqual([refused.store.state.query.phase, refused.store.state.query.problem], ["failed", "no mask of this image"]);
  refused.stop();

  context.mock.timers.enable({ apis: ["setTimeout"] });
  const silent = await querying([answer("", 500), ROUND]);
  assert.equal(silent.store.state.query.phase, "failed");
  context.mock.timers.tick(3000);
  await settled();
  assert.equal(silent.store.state.query.phase, "asking");
  silent.stop();
});

test("an answer that comes after the mode was left changes nothing", async () => {
  let finish = (_) => {};
  const late = { ok: true, status: 200, json: () => new Promise((resolve) => (finish = resolve)) };
  const { store, toolbox, stop } = await querying([late]);

  toolbox.choose("points");
  finish({ source: "query", pixels: [[1, 2]] });
  await settled();

  assert.equal(store.state.query, null);
  stop();
});

test("a done image asks nothing; reopened, it begins anew; so does another image", async () => {
  const { store, labelling, asked, stop } = await querying([ROUND], { scene: sceneOf({ image: imageOf(1, { state: "done" }) }) });
  assert.deepEqual([store.state.query.phase, asked.length], ["done", 0]);

  labelling.record("state", { state: "in_progress" });
  labelling.receive(sceneOf({ acknowledged: { client_id: "client-of-test", seq: 1 } }));
  store.set({ labelled: labelling.now() });
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual([store.state.query.phase, asked.length], ["asking", 1]);

  labelling.receive(sceneOf({ image: imageOf(2) }));
  labelling.show();
  store.set({ labelled: labelling.now() });
  await settled();
  assert.deepEqual(asked.map(({ imageId }) => imageId), [1, 2]);
  stop();
});

test("no pixel left leads to the image that promises most, of those that are open", async () => {
  const items = [{ id: 1, state: "new" }, { id: 3, state: "done" }, { id: 2, state: "new" }];
  const { query, store, done, stop } = await querying([answer({ source: "query", pixels: [] }), answer({ items })]);
  assert.equal(store.state.query.phase, "none");

  query.onKey({ type: "done" });
  await settled();

  assert.deepEqual(done.went, [2]);
  stop();
});

test("another way of choosing asks anew, and keeps what was answered", async () => {
  const { query, store, asked, stored, stop } = await querying([ROUND, answer({ source: "random_query", pixels: [[7, 8]] })]);
  query.answer(1);
  stored();

  query.setStrategy("random");
  await settled();

  assert.deepEqual([asked[1].how, store.state.query.asked.row, store.state.query.canGoBack], ["random", 7, true]);
  stop();
});
