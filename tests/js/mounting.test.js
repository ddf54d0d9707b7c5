import assert from "node:assert/strict";
import { after, test } from "node:test";

import draw from "../../fcnlab/web/canvas/assets/canvas.js";
import drawLabeller from "../../fcnlab/web/canvas/assets/labeller.js";
import { appBase, Routes } from "../../fcnlab/web/canvas/assets/protocol/routes.js";
import { loadMemory, saveMemory } from "../../fcnlab/web/canvas/assets/state/settings.js";
import { installDom, settled, StubElement } from "./support/dom.js";
import { sceneOf } from "./support/page.js";

installDom();
globalThis.fetch = () => new Promise(() => {});
const places = [];
after(() => {
  for (const { place, leave } of places) {
    place.remove();
    leave();
  }
});

/** Where Streamlit puts the component. */
function placeOf() {
  const place = new StubElement("div");
  const root = new StubElement("div");
  root.className = "fcnlab";
  place.append(root);
  globalThis.document.body.append(place);
  const show = (scene) => {
    const leave = draw({ data: scene, parentElement: place, setStateValue: () => {} });
    places.push({ place, leave });
    return leave;
  };
  return { place, root, show };
}

const project = (key) => ({ id: 1, name: "Roots", key, look: "", task: "masks" });

test("newer data changes the page that is there, and builds nothing anew", async () => {
  const { root, show } = placeOf();
  show(sceneOf({ project: project("a") }));
  await settled();
  const grid = root.firstChild;

  show(sceneOf({ project: project("a"), n_images: 8 }));
  await settled();

  assert.equal(root.firstChild, grid);
  assert.equal(root.querySelector(".track").style.width, "736px"); // eight images
});

test("data that comes before the page is there is what it begins with", async () => {
  const { root, show } = placeOf();
  show(sceneOf({ project: project("b"), image: null }));
  show(sceneOf({ project: project("b"), image: null, n_images: 0 }));
  await settled();

  assert.match(root.textContent, /No images yet/);
});

test("another project in the same place is another page", async () => {
  const { root, show } = placeOf();
  show(sceneOf({ project: project("c") }));
  await settled();
  const grid = root.firstChild;

  show(sceneOf({ project: project("d") }));
  await settled();

  assert.notEqual(root.firstChild, grid);
});

test("a page that left the document is forgotten; one that newer data overtook is not", async () => {
  const { place, root, show } = placeOf();
  const leave = show(sceneOf({ project: project("e") }));
  await settled();
  const grid = root.firstChild;
  const overtaken = new Promise((resolve) => setTimeout(resolve, 5));
  leave();
  await overtaken;
  show(sceneOf({ project: project("e") }));
  await settled();
  assert.equal(root.firstChild, grid);

  place.remove();
  leave();
  await new Promise((resolve) => setTimeout(resolve, 5));
  globalThis.document.body.append(place);
  show(sceneOf({ project: project("e") }));
  await settled();
  assert.notEqual(root.firstChild, grid);
});

test("a name typed in this tab is remembered; one of the address alone only where there is none yet", () => {
  const storage = globalThis.localStorage;
  const say = (data) => {
    const sent = [];
    drawLabeller({ data: { name: null, typed: false, focuses: false, ...data }, parentElement: {}, setStateValue: (_, value) => sent.push(value) });
    return sent;
  };

  assert.deepEqual(say({}), [""]);
  say({ name: "Ada" });
  assert.deepEqual(say({}), ["Ada"]);
  say({ name: "Lou" });
  assert.equal(storage.getItem("fcnlab.labeller"), '"Ada"');
  say({ name: "Lou", typed: true });
  assert.deepEqual(say({}), ["Lou"]);
});

test("the first field of a dialog gets the focus, until somebody does something", async () => {
  const dialog = new StubElement("div");
  dialog.setAttribute("role", "dialog");
  const [field, place] = [new StubElement("input"), new StubElement("span")];
  dialog.append(field, place);
  globalThis.document.body.append(dialog);

  drawLabeller({ data: { name: null, typed: false, focuses: true }, parentElement: place, setStateValue: () => {} });
  await new Promise((resolve) => setTimeout(resolve, 80));
  assert.equal(globalThis.document.activeElement, field);
  globalThis.document.dispatchEvent({ type: "keydown", path: [globalThis.document], bubbles: true });
  place.focus();
  await new Promise((resolve) => setTimeout(resolve, 80));
  assert.equal(globalThis.document.activeElement, place);
});

test("addresses are below that of the app, and name how pictures are made", () => {
  const base = appBase("http://here/lab/_stcore/bidi/x/canvas.js");
  const routes = new Routes(base, "a/b", "abc");

  assert.equal(base, "http://here/lab/");
  assert.equal(routes.tile(3, { level: 1, x: 2, y: 4 }), "http://here/lab/fcnlab/a%2Fb/tile/3/1/2/4?look=abc");
  assert.equal(new Routes(base, "k").image(3), "http://here/lab/fcnlab/k/image/3");
  assert.equal(routes.queries({ imageId: 3, count: 10, how: "random", avoid: [[1, 2], [3, 4]] }), "http://here/lab/fcnlab/a%2Fb/queries/3?count=10&strategy=random&avoid=1%2C2%2C3%2C4");
  assert.match(routes.overlay({ imageId: 3, after: 5, status: 6, mode: "mask", classIds: [0], clientId: "me" }), /overlay\/3\?after=5&status=6&mode=mask&class_id=0&client=me$/);
  assert.equal(routes.page("Export", sceneOf()), "http://here/lab/export?project=1&labeller=Ada");
});

test("what is remembered of a project survives, and what is damaged is not believed", () => {
  const memory = { classId: 4, otherId: null, hintClosed: true, byGain: false, brushSize: 12 };
  saveMemory("kept", memory);
  globalThis.localStorage.setItem("fcnlab.project.bad", '{"classId": "4", "hintClosed": 1, "brushSize": 2.5}');
  globalThis.localStorage.setItem("fcnlab.project.worse", "{");

  assert.deepEqual(loadMemory("kept"), memory);
  for (const key of ["bad", "worse", "none"]) {
    assert.deepEqual(loadMemory(key), { classId: null, otherId: null, hintClosed: false, byGain: false, brushSize: null });
  }
});
