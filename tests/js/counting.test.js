import assert from "node:assert/strict";
import { test } from "node:test";

import { Completion } from "../../fcnlab/web/canvas/assets/tools/completing.js";
import { CountingTool } from "../../fcnlab/web/canvas/assets/tools/counting.js";
import { Finishing } from "../../fcnlab/web/canvas/assets/tools/finishing.js";
import { ReviewTool } from "../../fcnlab/web/canvas/assets/tools/review.js";
import { installDom, settled, StubContext } from "./support/dom.js";
import { at, COUNTING_PROJECT, imageOf, metaOf, pageOf, sceneOf } from "./support/page.js";

installDom();

/** [row, col, class id, number, score, is marked]; the second is the least sure. */
const OBJECTS = [[20, 30, 1, 1, 0.9, false], [80, 90, 1, 2, 0.2, false], [150, 250, 2, 3, 0.5, false]];

async function counting({ objects = OBJECTS, points = [], scene = {}, meta = metaOf() } = {}) {
  const page = pageOf(sceneOf({ project: COUNTING_PROJECT, points, ...scene }), { meta });
  let found = objects;
  const routes = { objects: (id) => `objects/${id}`, page: (title) => title };
  const tool = new CountingTool({ ...page, routes, fetch: async () => ({ ok: true, json: async () => ({ objects: found }) }) });
  const review = new ReviewTool({ ...page, counting: tool });
  const anchor = {};
  const completion = new Completion({ ...page, counting: tool, anchor: () => anchor });
  const finishing = new Finishing({ ...page, routes, completion });
  page.toolbox.tools = { points: tool, review };
  page.store.subscribe(["count"], () => review.follow());
  const recount = async (list, overlay) => {
    found = list;
    tool.receive(metaOf({ overlay, counts: [] }));
    await settled();
  };
  if (objects) await recount(objects, 1);
  return { ...page, tool, review, completion, finishing, anchor, recount };
}

test("objects come with the overlay they were counted for, and old ones never over newer ones", async () => {
  const { store, tool, stop } = await counting();
  const pending = [];
  tool.fetch = () => new Promise((resolve) => pending.push((objects) => resolve({ ok: true, json: async () => ({ objects }) })));

  tool.receive(metaOf({ overlay: 2, counts: [{ class_id: 1, count: 7, marked: 0 }] }));
  tool.receive(metaOf({ overlay: 3, counts: [] }));
  pending[1](OBJECTS.slice(0, 1));
  await settled();
  pending[0](OBJECTS);
  await settled();

  assert.equal(store.state.count.objects.length, 1);
  tool.receive(metaOf({ overlay: 3 }));
  assert.equal(pending.length, 2); // the same overlay again brings no news
  stop();
});

test("a and d answer for the object under the cursor, at its centre", async () => {
  const { tool, store, events, stop } = await counting();

  store.set({ cursor: at(33, 22) });
  assert.match(tool.words().text, /^root 1, 90 % sure/);
  tool.onKey({ type: "accept" });
  store.set({ cursor: at(90, 80) });
  tool.onKey({ type: "reject" });

  assert.deepEqual(events(), [
    { kind: "add", row: 20, col: 30, class_id: 1, source: "click" },
    { kind: "add", row: 80, col: 90, class_id: 0, source: "click" },
  ]);
  assert.deepEqual(tool.open().map(({ number }) => number), [3]);
  assert.equal(tool.nMarked(), 1); // a background point is no object
  stop();
});

test("beside every object a and d explain themselves", async () => {
  const { tool, store, done, events, stop } = await counting();
  store.set({ cursor: at(280, 5) });

  tool.onKey({ type: "accept" });

  assert.deepEqual([events(), done.toasts.length], [[], 1]);
  stop();
});

test("a second click of the class on a pixel is said to count once; of another class it counts", async () => {
  const { tool, done, events, stop } = await counting({ points: [["a:1", 10, 10, 1]] });

  tool.onUp(at(10.5, 10.5));
  assert.deepEqual([events(), done.toasts.length], [[], 1]);
  tool.add({ row: 10, col: 10 }, 2);
  assert.equal(events().length, 1);
  assert.deepEqual([...tool.marked()], [[2, 1]]);
  stop();
});

test("numbers are written beside what is found, and none on what was rejected", async () => {
  const { tool, store, stop } = await counting({ points: [["a:1", 80, 90, 0]] });
  const written = () => {
    const context = new StubContext(null);
    tool.drawOver(context, store.state.view, { width: 400, height: 300 });
    return context.called("fillText").map((call) => call[1]);
  };

  assert.deepEqual(written(), ["1", "3"]);
  store.set({ display: { ...store.state.display, overlay: false } });
  assert.deepEqual(written(), []);
  stop();
});

test("the review asks for the least sure object first, and each answer is a point", async () => {
  const { review, store, toolbox, events, done, stop } = await counting();
  toolbox.choose("review");

  assert.equal(store.state.review.asked.number, 2);
  assert.equal(review.nLeft(), 3);
  review.onKey({ type: "accept" });
  assert.equal(store.state.review.asked.number, 3);
  review.onKey({ type: "class", number: 2 });
  review.onKey({ type: "reject" });

  assert.deepEqual(events().map(({ row, class_id: classId, source }) => [row, classId, source]), [[80, 1, "query"], [150, 1, "query"], [20, 0, "query"]]);
  assert.equal(store.state.review.asked, null);
  assert.deepEqual(done.stage.at(-1), ["fit"]);
  stop();
});

test("undo in the review goes back to the object answered last; a skipped one has nothing to take back", async () => {
  const { review, store, toolbox, events, stop } = await counting();
  toolbox.choose("review");
  review.accept();
  review.skip();
  assert.deepEqual([store.state.review.asked.number, store.state.review.nSkipped], [1, 1]);

  review.onKey({ type: "undo" });
  assert.deepEqual([store.state.review.asked.number, events().length], [3, 1]);
  review.onKey({ type: "undo" });
  assert.deepEqual([store.state.review.asked.number, events().map(({ kind }) => kind)], [2, ["add", "undo"]]);
  review.onKey({ type: "redo" });
  review.onKey({ type: "redo" });
  assert.deepEqual([store.state.review.asked.number, events().map(({ kind }) => kind)], [1, ["add", "undo", "redo"]]);
  stop();
});

test("after a step back another answer goes on with the least sure object that is left", async () => {
  const { review, store, toolbox, stop } = await counting();
  toolbox.choose("review");
  review.accept();
  review.accept();
  review.back();
  review.skip();

  assert.deepEqual([store.state.review.asked.number, review.walk.done().map(({ number }) => number)], [1, [2, 3]]);
  stop();
});

test("counted anew, the object in the ring stays until it is answered; a finished review goes on", async () => {
  const { review, store, toolbox, recount, stop } = await counting();
  toolbox.choose("review");

  await recount([[40, 40, 1, 1, 0.01, false]], 2);
  assert.equal(store.state.review.asked.row, 80);
  review.skip();
  assert.equal(store.state.review.asked.row, 40);
  review.skip();
  assert.equal(store.state.review.asked, null);
  await recount([[40, 40, 1, 1, 0.01, false], [10, 200, 1, 2, 0.6, false]], 3);
  assert.equal(store.state.review.asked.row, 10);
  stop();
});

test("in the review clicks still mark and remove", async () => {
  const { review, toolbox, events, stop } = await counting();
  toolbox.choose("review");

  review.onUp(at(5, 6));
  review.onRemove(at(5, 6));

  assert.deepEqual(events().map(({ kind }) => kind), ["add", "remove"]);
  stop();
});

test("all marked is asked about while found objects are open, and the answer is what is recorded", async () => {
  const answers = [
    { text: /^Accept all 3/, kinds: [["accept", true]] },
    { text: /^They are none/, kinds: [["complete", true]] },
    { text: /^Review them/, kinds: [] },
  ];
  for (const [k, { text, kinds }] of [[0, answers[0]], [2, answers[1]], [1, answers[2]]]) {
    const { completion, done, events, store, stop } = await counting();
    let isThen = false;

    completion.set(true, () => (isThen = true));
    assert.deepEqual(events(), []);
    const answer = done.questions[0].answers[k];
    assert.match(answer.text, text);
    answer.act();

    assert.deepEqual(events().map(({ kind, complete }) => [kind, complete]), kinds);
    assert.equal(isThen, kinds.length > 0);
    assert.equal(store.state.tool, k === 1 ? "review" : "points");
    stop();
  }
});

test("accepting all marks the centre of each, in one event that one undo takes back", async () => {
  const { completion, tool, labelling, events, stop } = await counting({ scene: { image: imageOf(1, { width: 240 }) } });

  completion.acceptAll(tool.open());

  assert.deepEqual(events(), [{ kind: "accept", points: [[20, 30, 1], [80, 90, 1], [150, 239, 2]], complete: true }]);
  labelling.record("undo");
  assert.deepEqual([labelling.now().points, labelling.now().isComplete], [[], false]);
  stop();
});

test("nothing open is not asked about; not all marked is said at once", async () => {
  const { completion, events, done, stop } = await counting({ objects: [] });

  completion.set();
  completion.set();

  assert.deepEqual([events().map(({ complete }) => complete), done.questions], [[true, false], []]);
  stop();
});

test("all marked waits until the image is counted, unless something else happens first", async (context) => {
  const page = await counting({ objects: null, meta: metaOf({ phase: "encoding" }) });
  context.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const pass = async (ms) => {
    for (let k = 0; k < ms / 60; k += 1) {
      context.mock.timers.tick(60);
      await settled();
    }
  };

  page.completion.set(true);
  await pass(1200);
  assert.deepEqual([page.events(), page.done.toasts.length], [[], 1]);
  page.store.set({ meta: metaOf() });
  await pass(120);
  assert.deepEqual(page.events().map(({ kind }) => kind), ["complete"]);

  const other = await counting({ objects: null, meta: metaOf({ phase: "encoding" }) });
  other.completion.set(true);
  other.labelling.record("add", { row: 1, col: 1, class_id: 1 });
  await pass(6000);
  assert.deepEqual(other.events().map(({ kind }) => kind), ["add"]);
  page.stop();
  other.stop();
});

test("Enter says that all is marked, and leads on", async () => {
  const { finishing, events, done, stop } = await counting({ objects: [] });

  finishing.finish();

  assert.deepEqual([events().map(({ kind }) => kind), done.went], [["complete"], [1]]);
  stop();
});
