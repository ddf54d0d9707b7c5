// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { freshColour } from "../../fcnlab/web/canvas/assets/widgets/classbar.js";
import { DEFAULT_DISPLAY, displayFrom, PassedOver } from "../../fcnlab/web/canvas/assets/state/settings.js";
import { inSight, ITEM_PX } from "../../fcnlab/web/canvas/assets/widgets/strip.js";
import { firstCounts, firstSteps, lastWords, leftWords, learning, leftOpen, saving } from "../../fcnlab/web/canvas/assets/widgets/messages.js";

const CALM = { pending: 0, silenceMs: 0, reachable: true, persistent: true };
const META = /** @type {const} */ ({ overlay: 3, status: 1, phase: "idle", progress: 1, message: "", milliseconds: 9, spans: {}, updated_at: null, width: 3, height: 2, covers: 5, shown_done: false });

test("saved is said only when nothing is pending", () => {
  assert.equal(saving(CALM).text, "Saved");
  assert.match(saving({ ...CALM, pending: 2 }).text, /^Saving 2/);
  assert.match(saving({ ...CALM, pending: 2, silenceMs: 9000 }).text, /^Offline: 2 changes kept in this tab/);
  assert.match(saving({ ...CALM, pending: 1, reachable: false }).text, /^Offline: 1 change kept/);
  assert.match(saving({ ...CALM, pending: 1, reachable: false, persistent: false }).text, /do not close/);
  assert.match(saving({ ...CALM, reachable: false }).text, /everything so far is saved/);
});

test("up to date is said only of an overlay that covers every click", () => {
  const facts = { reachable: true, covered: true };

  assert.equal(learning(META, facts).tone, "good");
  assert.equal(learning(META, { ...facts, covered: false }).tone, "busy");
  assert.equal(learning(META, { ...facts, covered: false, behind: 3 }).text, "Mask is 3 clicks behind");
  assert.equal(learning(META, { ...facts, covered: false, behind: 3, counts: true }).text, "Count is 3 clicks behind");
  assert.equal(learning({ ...META, overlay: 0 }, facts).tone, "quiet");
  assert.equal(learning({ ...META, phase: "missing", message: "Add a class" }, facts).text, "Add a class");
  assert.equal(learning({ ...META, phase: "error", message: "It broke" }, facts).tone, "bad");
  assert.equal(learning({ ...META, phase: "encoding", progress: 0.4 }, facts).progress, 0.4);
  assert.equal(learning(null, facts).tone, "quiet");
  assert.equal(learning(META, { ...facts, reachable: false }).tone, "quiet");
});

test("the first steps use the project's own words", () => {
  const classes = [{ id: 0, name: "soil", colour: "#000000", n_points: 0, is_background: true }, { id: 1, name: "root", colour: "#ffffff", n_points: 0, is_background: false }];

  assert.match(firstSteps(classes)[0], /root/);
  assert.match(firstSteps(classes)[1], /soil/);
  assert.match(firstSteps([classes[1], classes[0]])[1], /Press 2 for soil, click outside/);
  const land = classes.map((label) => ({ ...label, is_background: false }));
  assert.match(firstSteps(land)[0], /Click on: soil/);
  assert.match(firstSteps(land)[1], /Press 2 for root, click on that/);
  assert.match(firstSteps(classes.slice(0, 1))[0], /second class/);
});

test("what is found and not accepted when all is called marked is said in numbers", () => {
  assert.match(leftOpen("a.png", 12, 36), /^a.png: 12 objects. 36 more found there were not accepted/);
  assert.match(leftOpen("a.png", 1, 1), /^a.png: 1 object. 1 more found there was not accepted/);
});

test("only the images in sight exist, however many there are", () => {
  const { first, end } = inSight(5000 * ITEM_PX, 1200, 10_000);

  assert.ok(first < 5000 && end > 5013 && end - first < 25);
  assert.deepEqual(inSight(0, 1200, 3), { first: 0, end: 3 });
  assert.deepEqual(inSight(0, 1200, 0), { first: 0, end: 0 });
});

test("a new class gets a colour nobody has", () => {
  const taken = [{ id: 0, name: "a", colour: "#0072b2", n_points: 0 }];

  assert.equal(freshColour(taken, ["#0072B2", "#E69F00"]), "#e69f00");
});

test("damaged display settings fall back one by one", () => {
  assert.deepEqual(displayFrom(null), DEFAULT_DISPLAY);
  assert.equal(displayFrom({ mode: "x-ray", contour: true }).mode, "mask");
  assert.equal(displayFrom({ mode: "x-ray", contour: true }).contour, true);
  assert.equal(displayFrom({ opacity: 7 }).opacity, 1);
});

test("pixels passed over survive a reload of the tab, image by image, and damaged memory is no harm", () => {
  /** @type {Map<string, string>} */
  const kept = new Map();
  const storage = { getItem: (/** @type {string} */ name) => kept.get(name) ?? null, setItem: (/** @type {string} */ name, /** @type {string} */ value) => void kept.set(name, value) };
  new PassedOver(storage, "key").keep(7, [[3, 40]]);

  assert.deepEqual(new PassedOver(storage, "key").of(7), [[3, 40]]);
  assert.deepEqual(new PassedOver(storage, "key").of(8), []);
  assert.deepEqual(new PassedOver(storage, "other").of(7), []);
  kept.set("fcnlab.passed.key", "{");
  assert.deepEqual(new PassedOver(storage, "key").of(7), []);
  assert.deepEqual(new PassedOver(null, "key").of(7), []);
});

test("the first steps begin with the class that the next click gives", () => {
  const classes = [
    { id: 0, name: "soil", colour: "#000000", n_points: 0, is_background: true },
    { id: 5, name: "root", colour: "#ffffff", n_points: 0, is_background: false },
  ];
  const alike = classes.map((label) => ({ ...label, is_background: false }));

  assert.deepEqual(firstSteps(alike, 5).slice(0, 2), ["Click on: root", "Press 1 for soil, click on that"]);
  assert.match(firstSteps(classes, 0)[0], /outside: soil/);
  assert.match(firstSteps(classes, 0)[1], /Press 2 for root/);
  assert.match(firstSteps(classes, 5)[0], /inside: root/);
  assert.match(firstSteps(classes, 5)[1], /Press 1 for soil/);
  assert.match(firstCounts(classes, 0)[0], /Press 2.*root/);
});

test("where no image follows, what is left is said in numbers", () => {
  assert.match(lastWords({ isOpen: false, nOpen: 3, nImages: 9 }), /^Done\. .* 3 images are still open/);
  assert.match(lastWords({ isOpen: false, nOpen: 1, nImages: 9 }), /1 image is still open/);
  assert.match(lastWords({ isOpen: true, nOpen: 2, nImages: 9 }), /last image.* 2 images are still open/);
  assert.match(lastWords({ isOpen: true, nOpen: 0, nImages: 9 }), /the only one that is open/);
  assert.equal(lastWords({ isOpen: false, nOpen: 0, nImages: 9 }), "All 9 images are done.");
});

test("how many images are left is said at any time, with the one on the screen", () => {
  const said = (/** @type {object} */ facts) => leftWords({ isOpen: true, nOpen: 0, nImages: 9, counts: false, ...facts });

  assert.deepEqual([said({ nOpen: 2 }), said({ isOpen: false, nOpen: 2 }), said({}), said({ isOpen: false })], ["3 images left", "2 images left", "1 image left", "All images done"]);
  assert.deepEqual([said({ isOpen: false, counts: true }), said({ nImages: 0, isOpen: false })], ["All images marked", ""]);
});
