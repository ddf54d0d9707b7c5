import assert from "node:assert/strict";
import { after, test } from "node:test";

import { openLog, tabStorage } from "../../fcnlab/web/canvas/assets/protocol/identity.js";
import { EventLog } from "../../fcnlab/web/canvas/assets/protocol/log.js";
import { Workspace } from "../../fcnlab/web/canvas/assets/workspace.js";
import { CONSTANTS } from "./support/constants.js";
import { fire, installDom, settled, StubElement } from "./support/dom.js";
import { COUNTING_PROJECT, imageOf, metaOf, sceneOf } from "./support/page.js";

const workspaces = [];
after(() => workspaces.forEach((workspace) => workspace.stop()));

/**
 * A label page whose server answers what a test says.
 * @param {object} scene
 */
async function opened(scene = sceneOf()) {
  for (const earlier of workspaces.splice(0)) earlier.stop(); // else its poll goes on in this page
  const dom = installDom();
  const polls = [];
  const posted = [];
  globalThis.fetch = (url, { body: sentBody, signal } = {}) => {
    if (url.endsWith("/events")) return new Promise((resolve, reject) => {
      posted.push({ ...JSON.parse(sentBody), fail: () => reject(new TypeError("no network")), answer: (said) => resolve({ ok: true, status: 200, json: async () => said }) });
    });
    if (url.includes("/overlay/")) return new Promise((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(new Error("aborted")));
      polls.push({ url, resolve });
    });
    const body = url.includes("/objects/") ? { objects: [[50, 60, 1, 1, 0.5, false]] } : { items: [], order: [], waiting: 0, ranked: 0 };
    return Promise.resolve({ ok: true, status: 200, json: async () => body });
  };
  const root = new StubElement("div");
  globalThis.document.body.append(root);
  const sent = [];
  const setState = (name, value) => sent.push([name, value]);
  const log = new EventLog(null, "log", () => "client-of-test", CONSTANTS.batch);
  const workspace = new Workspace(root, scene, log, setState, "http://here/");
  workspaces.push(workspace);
  Object.assign(workspace.stage.element, { box: { left: 0, top: 0, width: 324, height: 224 } }); // one to one, 12 pixels of margin
  const update = async (news) => {
    workspace.update(news, setState);
    dom.images.at(-1)?.arrive();
    await settled();
    dom.frames();
  };
  await update(scene);
  const answer = async (meta, values) => {
    const headers = new Map([["X-Fcnlab-Meta", JSON.stringify(metaOf(meta))]]);
    const before = polls.length;
    polls.at(-1).resolve({ status: values ? 200 : 204, headers, arrayBuffer: async () => values?.buffer });
    for (let waits = 0; waits < 100 && polls.length === before; waits += 1) await new Promise((resolve) => setTimeout(resolve, 5));
    await settled();
    dom.frames();
  };
  const vp = workspace.stage.element;
  const click = (x, y, rest = {}) => {
    for (const kind of ["pointerdown", "pointerup"]) fire(vp, kind, { pointerId: 1, clientX: x + 12.5, clientY: y + 12.5, ...rest });
    dom.frames();
  };
  const press = (key, rest = {}) => fire(vp, "keydown", { key, ...rest });
  const kinds = () => log.pending.map(({ kind }) => kind);
  return { workspace, root, dom, log, sent, posted, polls, update, answer, click, press, kinds, vp };
}

const WHOLE = { overlay: 1, covers: 0, width: 3, height: 2, base: 0, box: [0, 0, 2, 3] };

test("a click is a point at once, goes to the server, and stays pending until that has it", async () => {
  const { workspace, vp, posted, click, kinds, update } = await opened();

  click(40, 30);
  await settled();

  assert.deepEqual([vp.dataset.points, vp.dataset.unsaved, kinds()], ["1", "1", ["add"]]);
  assert.deepEqual(posted.map(({ log }) => log[0].payload), [{ row: 30, col: 40, class_id: 1 }]);
  assert.deepEqual([posted[0].labeller, posted[0].image], ["Ada", { id: 1, revision: 1 }]);
  await update(sceneOf({ points: [["client-of-test:1", 30, 40, 1]], acknowledged: { client_id: "client-of-test", seq: 1 } }));
  assert.deepEqual([vp.dataset.points, vp.dataset.unsaved], ["1", "0"]);
  assert.equal(workspace.toolbar.clear.disabled, false);
});

const STORED = { acknowledged: { client_id: "client-of-test", seq: 1 }, refusals: [], image: 1, base: 1, revision: 2, scene: null };

test("what is stored as it was shown needs no scene: the point stays, is counted, and the next click builds on it", async () => {
  const { workspace, vp, posted, sent, click, kinds } = await opened(sceneOf({ image: imageOf(1, { state: "new" }) }));
  click(40, 30);
  await settled();

  posted[0].answer(STORED);
  await settled();

  assert.deepEqual([vp.dataset.points, vp.dataset.unsaved, kinds()], ["1", "0", []]);
  const { scene, labelled } = workspace.store.state;
  assert.deepEqual(scene.points, [["client-of-test:1", 30, 40, 1]]);
  assert.deepEqual([scene.classes[1].n_points, labelled.state, labelled.reversible.undo], [1, "in_progress", 1]);
  assert.deepEqual(sent, [["tab", { client_id: "client-of-test" }]]); // Streamlit is told once
  click(60, 30);
  await settled();
  assert.deepEqual([posted[1].image, posted[1].log.length], [{ id: 1, revision: 2 }, 1]);
  posted[1].answer({ ...STORED, acknowledged: { client_id: "client-of-test", seq: 2 }, base: 2, revision: 3 });
  await settled();
  assert.deepEqual([vp.dataset.points, sent.length, workspace.labelling.counts().get(1)], ["2", 1, 2]);
});

test("an answer that builds on what is shown no more is asked for again, and comes as a scene", async () => {
  const { workspace, posted, click, kinds, update } = await opened();
  click(40, 30);
  await settled();
  const other = ["other:1", 5, 5, 2];
  await update(sceneOf({ number: 2, revision: 7, points: [other] }));

  posted[0].answer(STORED);
  await settled();

  assert.deepEqual([posted.length, posted[1].image.revision, kinds()], [2, 7, ["add"]]);
  const points = [other, ["client-of-test:1", 30, 40, 1]];
  posted[1].answer({ ...STORED, base: 7, revision: null, scene: sceneOf({ number: 3, revision: 8, points, acknowledged: STORED.acknowledged }) });
  await settled();
  assert.deepEqual([workspace.store.state.labelled.points, kinds()], [points, []]);
});

test("a scene that was read before a click was stored, and comes after its answer, takes the point away from nobody", async () => {
  const { workspace, posted, click, update } = await opened();
  click(40, 30);
  await settled();
  posted[0].answer(STORED);
  await settled();

  await update(sceneOf({ number: 8, revision: 1 }));
  assert.equal(workspace.store.state.labelled.points.length, 1);
  await update(sceneOf({ number: 9, revision: 3 }));
  assert.equal(workspace.store.state.labelled.points.length, 0);
});

test("an overtaken scene that knows of a click takes it from nobody: its answer still stores it", async () => {
  const { workspace, posted, click, update } = await opened();
  await update(sceneOf({ number: 4, revision: 2, points: [["other:1", 5, 5, 2]] }));
  click(40, 30);
  await settled();

  await update(sceneOf({ number: 3, revision: 1, acknowledged: STORED.acknowledged }));
  posted[0].answer({ ...STORED, base: 2, revision: 3 });
  await settled();

  assert.deepEqual(workspace.store.state.labelled.points.map(([, row]) => row), [5, 30]);
});

test("of a scene that a later one overtook, what was changed on the page counts, and nothing else", async () => {
  const { workspace, update } = await opened();
  const points = [["other:1", 5, 5, 2]];
  await update(sceneOf({ number: 5, revision: 2, points }));

  await update(sceneOf({ number: 4, revision: 2, points: [], labeller: "Bob", object_mode: true }));

  const { scene, labelled } = workspace.store.state;
  assert.deepEqual([labelled.points, scene.labeller, scene.object_mode], [points, "Bob", true]);
});

test("Streamlit is not told of the tab while another image is on its way: that would lead back", async () => {
  const { workspace, posted, sent, click, update } = await opened();
  click(40, 30);
  await settled();
  workspace.navigator.go(2);
  posted[0].answer(STORED);
  await settled();
  assert.deepEqual(sent.map(([name]) => name), ["goto"]);

  await update(sceneOf({ number: 2, image: imageOf(2) }));
  await new Promise((resolve) => setTimeout(resolve, 350));

  assert.deepEqual(sent.map(([name]) => name), ["goto", "tab"]);
});

test("an answer does not say who labels: the page does", async () => {
  const { workspace, posted, click, update } = await opened(sceneOf({ labeller: "anonymous" }));
  click(40, 30);
  await settled();
  await update(sceneOf({ number: 2, labeller: "Ada" }));

  posted[0].answer({ ...STORED, revision: null, scene: sceneOf({ number: 3, revision: 2, labeller: "anonymous" }) });
  await settled();

  assert.equal(workspace.store.state.scene.labeller, "Ada");
});

test("the answer for an image that was left leads nowhere; what it says is stored, and the image shown is asked for", async () => {
  const { workspace, vp, posted, click, kinds, update } = await opened();
  click(40, 30);
  await settled();
  await update(sceneOf({ number: 2, image: imageOf(2) }));

  posted[0].answer({ ...STORED, revision: null, scene: sceneOf({ number: 3, image: imageOf(1), acknowledged: STORED.acknowledged }) });
  await settled();

  assert.deepEqual([workspace.store.state.scene.image.id, kinds(), vp.dataset.unsaved], [2, [], "0"]);
  assert.deepEqual([posted.length, posted[1].log, posted[1].image.id], [2, [], 2]);
  posted[1].answer({ ...STORED, image: 2, revision: null, scene: sceneOf({ number: 4, image: imageOf(2), open: { count: 1, next_id: 3 } }) });
  await settled();
  assert.deepEqual([posted.length, workspace.store.state.scene.open.count], [2, 1]);
});

test("what else is on the page hears of every point, without a question to the server", async () => {
  const { posted, click } = await opened();
  const heard = [];
  globalThis.window.addEventListener("fcnlab-labelled", ({ detail }) => heard.push(detail));
  click(40, 30);
  await settled();

  posted[0].answer(STORED);
  await settled();

  assert.deepEqual(heard.at(-1), { image: 1, points: 1, open: 3 });
});

test("the mask that follows a click is painted, and says how long that took", async () => {
  const { workspace, vp, click, answer, polls } = await opened();
  await answer(WHOLE, Uint8Array.from([0, 0, 0, 0, 0, 0]));
  click(40, 30);

  await answer({ ...WHOLE, overlay: 2, covers: 1, spans: { fit: 3 } }, Uint8Array.from([0, 1, 0, 0, 1, 0]));
  fire(vp, "pointermove", { pointerId: 1, clientX: 12 + 150, clientY: 12 + 50 });

  assert.deepEqual([vp.dataset.paintedSeq, JSON.parse(vp.dataset.spans).fit], ["1", 3]);
  const [, pixels] = workspace.stage.fill.canvas.context.called("putImageData").at(-1);
  assert.deepEqual([...pixels.data.slice(0, 8)], [0, 0, 0, 0, 255, 0, 0, 255]); // soil is the background, then root
  assert.deepEqual(Object.keys(JSON.parse(vp.dataset.spans)), ["fit", "sent", "received", "painted"]);
  assert.equal(workspace.status.classWord.textContent, "root"); // in the middle third of the mask
  assert.match(polls.at(-1).url, /after=2/);
});

test("a stroke is on the screen before the server knows it, and nothing flickers when it does", async () => {
  const { workspace, vp, press, answer, kinds } = await opened();
  await answer(WHOLE, new Uint8Array(6));
  press("b");
  assert.ok(vp.classList.contains("painting"));
  const at = (x, y) => ({ pointerId: 1, clientX: x + 12.5, clientY: y + 12.5 });
  fire(vp, "pointerdown", at(30, 50));
  fire(vp, "pointermove", at(80, 50));
  fire(vp, "pointerup", at(80, 50));

  assert.deepEqual([kinds(), workspace.stage.overlay.values[0]], [["brush"], 1]);
  await answer({ ...WHOLE, overlay: 2, covers: 0 }, new Uint8Array(6));
  assert.equal(workspace.stage.overlay.values[0], 1); // this mask does not know it yet
  press("z");
  assert.equal(workspace.stage.overlay.values[0], 0);
});

test("keys mean the picture, but not while somebody types or a dialog asks", async () => {
  const { workspace, root, press, vp } = await opened();

  assert.equal(press("2").defaultPrevented, true);
  press("3");
  assert.equal(workspace.store.state.memory.classId, 2);
  const field = new StubElement("input");
  root.append(field);
  fire(field, "keydown", { key: "1" });
  const dialog = new StubElement("div");
  dialog.setAttribute("role", "dialog");
  globalThis.document.body.append(dialog);
  press("1");
  assert.equal(workspace.store.state.memory.classId, 2);
  dialog.remove();
  press(" ");
  assert.ok(vp.classList.contains("movable"));
  fire(globalThis.window, "blur");
  assert.ok(!vp.classList.contains("movable"));
});

test("who comes to the picture by Tab moves a cursor with the arrows, until a press of the mouse or Escape", async () => {
  const { workspace, root, press, vp, kinds, click } = await opened();
  const images = [];
  workspace.navigator.step = (step) => images.push(step) > 0;
  const come = (key) => (fire(root, "keydown", { key }), vp.focus(), fire(vp, "focus"));

  come("w"); // by a press of the mouse, or from a question that was closed
  press("ArrowRight");
  assert.deepEqual([vp.dataset.crosshair, images], [undefined, [1]]);
  come("Tab");
  press("ArrowRight");
  press(" ");
  fire(vp, "pointermove", { pointerId: 1, clientX: 20, clientY: 20 }); // a mouse that is knocked
  assert.deepEqual([vp.dataset.crosshair, images, kinds()], ["100,154", [1], ["add"]]);
  assert.equal(workspace.speech.element.textContent, "Row 100, column 154: root");
  click(40, 30);
  press("ArrowRight");
  assert.deepEqual([vp.dataset.crosshair, images, kinds()], [undefined, [1, 1], ["add", "add"]]);
  press("k");
  assert.notEqual(vp.dataset.crosshair, undefined);
  for (const key of ["g", "1", "Backspace", "Escape"]) press(key); // of the number that is typed, not of a point or the cursor
  assert.deepEqual([vp.dataset.crosshair !== undefined, vp.dataset.points], [true, "2"]);
  press("Escape");
  assert.equal(vp.dataset.crosshair, undefined);
});

test("the picture says its name and how points are set without a mouse", async () => {
  const { vp, update } = await opened();

  assert.match(vp.getAttribute("aria-label"), /^Image image 1\. .*cursor.*Space sets a point/);
  await update(sceneOf({ image: imageOf(2) }));
  assert.match(vp.getAttribute("aria-label"), /^Image image 2\. /);
});

test("the class that a key chooses is said, and the image that came", async () => {
  const { workspace, press, update } = await opened();
  const { element } = workspace.speech;

  press("3");
  assert.equal(element.textContent, "Class stone");
  press("]"); // something else that is remembered or shown
  await update(sceneOf({ image: imageOf(2) }));
  assert.equal(element.textContent, "Image image 2, 2 of 3");
});

test("the first steps are over for good in this browser once a mask was seen", async () => {
  const first = await opened();
  const { notes } = first.workspace;
  await first.answer({ ...WHOLE, overlay: 0 });
  assert.equal(notes.hint.hidden, false);
  first.click(40, 30);
  await first.answer({ ...WHOLE, covers: 1 }, Uint8Array.from([0, 1, 0, 0, 1, 0])); // one class: a first guess
  assert.equal(notes.hint.hidden, true);
  const saved = globalThis.localStorage;
  first.press("z"); // no point is left
  await first.update(sceneOf({ image: imageOf(2) }));
  await first.answer({ ...WHOLE, overlay: 0 });
  assert.equal(notes.hint.hidden, true);
  first.workspace.stop();

  assert.equal(JSON.parse(saved.getItem("fcnlab.project.key")).hintClosed, true); // what the next page begins with
});

test("what the labeller chose is found again by the next page", async () => {
  const first = await opened();
  first.press("3");
  first.press("h");
  const saved = globalThis.localStorage;
  first.workspace.stop();

  const memory = JSON.parse(saved.getItem("fcnlab.project.key"));
  const display = JSON.parse(saved.getItem("fcnlab.display"));
  assert.deepEqual([memory.classId, memory.otherId, display.mode], [2, 1, "probability"]);
});

test("another image comes with its own points, and keeps nothing of the one before", async () => {
  const { workspace, vp, click, answer, update, polls, log } = await opened();
  await answer(WHOLE, new Uint8Array(6).fill(1));
  click(40, 30);

  await update(sceneOf({ image: imageOf(2), points: [["a:1", 1, 1, 0], ["a:2", 2, 2, 1]] }));

  assert.deepEqual([vp.dataset.image, vp.dataset.points, vp.dataset.painted], ["2", "2", undefined]);
  assert.match(polls.at(-1).url, /overlay\/2\?after=0/);
  assert.deepEqual(log.pending.map((event) => event.image_id), [1]); // still on its way to the server
});

test("a refusal is said once, however often the scene comes", async () => {
  const { workspace, update } = await opened();
  const news = sceneOf({ refusals: ["row 900 is outside the image"], acknowledged: { client_id: "client-of-test", seq: 1 } });

  await update(news);
  await update({ ...news });

  assert.equal(workspace.toasts.element.children.length, 1);
});

test("a class added here is chosen once the server has numbered it", async () => {
  const { workspace, update, kinds } = await opened();
  workspace.classbar.actions.onAdd("leaf", "#123456");
  assert.deepEqual([kinds(), workspace.store.state.memory.classId], [["class_add"], null]);

  await update(sceneOf({ classes: [...sceneOf().classes, { id: 7, name: "leaf", colour: "#123456", n_points: 0, is_background: false }] }));

  assert.equal(workspace.store.state.memory.classId, 7);
});

test("out of reach and trouble are said, and the clicks made meanwhile are sent again", async () => {
  const { workspace, polls, posted, click } = await opened();
  click(40, 30);
  await settled();
  polls.at(-1).resolve({ status: 500, headers: new Map(), text: async () => "" });
  await settled();
  assert.match(workspace.status.learner.textContent, /fault \(500\)/);

  workspace.poll.parts.onReach(false);
  assert.match(workspace.status.saving.textContent, /^Offline: 1 change/);
  posted[0].fail();
  await settled();
  workspace.poll.parts.onReach(true);
  await settled();
  assert.deepEqual(posted.map(({ log }) => log.length), [1, 1]);
});

test("a done image is closed to clicks, and open again after Reopen", async () => {
  const { workspace, vp, click, kinds } = await opened(sceneOf({ image: imageOf(1, { state: "done" }) }));

  click(40, 30);
  assert.deepEqual([kinds(), vp.classList.contains("closed"), workspace.notes.banner.hidden], [[], true, false]);
  workspace.notes.banner.querySelector("button").click();
  click(40, 30);

  assert.deepEqual([kinds(), vp.classList.contains("closed")], [["state", "add"], false]);
});

test("without an image the page says so, and nothing is followed", async () => {
  const { workspace, polls, click, kinds } = await opened(sceneOf({ image: null, n_images: 0 }));

  click(40, 30);

  assert.deepEqual([workspace.notes.empty.hidden, polls, kinds()], [false, [], []]);
});

test("in a project that counts, objects are found, answered for and told per class", async () => {
  const { workspace, vp, press, answer, kinds, update } = await opened(sceneOf({ project: COUNTING_PROJECT }));
  await answer({ ...WHOLE, counts: [{ class_id: 1, count: 8, marked: 0, is_exact: false }] }, new Uint8Array(6));

  fire(vp, "pointermove", { pointerId: 1, clientX: 12.5 + 60, clientY: 12.5 + 50 });
  assert.deepEqual([vp.dataset.objects, vp.dataset.aim], ["1", "1"]);
  assert.match(workspace.classbar.list.children[1].textContent, /0 marked, 8 counted/);
  press("q");
  assert.equal(workspace.reviewbar.element.hidden, false);
  press("a");
  assert.deepEqual([kinds(), workspace.store.state.review.asked], [["add"], null]);
  press("Escape");
  press("b"); // there is nothing to paint
  assert.equal(workspace.store.state.tool, "points");
  await update(sceneOf({ project: COUNTING_PROJECT, image: imageOf(2) }));
  assert.deepEqual([vp.dataset.image, vp.dataset.objects, vp.dataset.aim], ["2", "0", ""]); // nothing is known of this one yet
});

test("a page that was left hears and asks nothing more", async () => {
  const { workspace, press, click, kinds, polls } = await opened();
  const before = polls.length;

  workspace.stop();
  press("b");
  click(40, 30);
  fire(globalThis.window, "online");
  await settled();

  assert.deepEqual([kinds(), workspace.store.state.tool], [[], "points"]);
  assert.ok(polls.length <= before + 1);
});

test("one tab has one log per project, and another tab another client", async () => {
  installDom();
  assert.equal(tabStorage(), globalThis.window.sessionStorage);

  const [one, again, other] = [openLog("key", 5000), openLog("key", 5000), openLog("other", 5000)];

  assert.equal(await one, await again);
  assert.notEqual((await one).clientId, (await other).clientId);
});
