import assert from "node:assert/strict";
import { after, test } from "node:test";

import { ITEM_PX, Strip } from "../../fcnlab/web/canvas/assets/widgets/strip.js";
import { Routes } from "../../fcnlab/web/canvas/assets/protocol/routes.js";
import { fire, installDom, settled } from "./support/dom.js";
import { imageOf } from "./support/page.js";

const dom = installDom();
const bars = [];
after(() => bars.forEach((bar) => bar.stop()));

const itemOf = (id) => ({ id, name: `image ${id}`, n_points: id, state: "new", is_complete: false, gain: id / 10 });

/** A strip of 300 images whose ids count from 1, six in sight. */
async function strip({ byGain = false, counts = false, items = itemOf } = {}) {
  const asked = [];
  const told = [];
  globalThis.fetch = async (url) => {
    const query = new URL(url).searchParams;
    asked.push(url.split("?")[1]);
    const range = Array.from({ length: Number(query.get("count")) }, (_, k) => Number(query.get("start")) + k + 1).filter((id) => id <= 300);
    const ids = query.get("ids")?.split(",").map(Number) ?? range;
    const order = query.get("sort") && !query.get("ids") ? Array.from({ length: 300 }, (_, k) => 300 - k) : undefined;
    return { ok: true, json: async () => ({ items: ids.map(items), order, waiting: 0, ranked: 300 }) };
  };
  const bar = new Strip({
    routes: new Routes("http://here/", "key"), onGo: (id) => told.push(id), onLeave: () => told.push("leave"),
    onOrder: (order) => told.push(order && order.slice(0, 2)), onSort: (isByGain) => told.push(isByGain), byGain, counts,
  });
  bars.push(bar);
  bar.scroller.box = { left: 0, top: 0, width: 6 * ITEM_PX, height: 90 };
  const show = async (current = null) => {
    bar.update(300, current);
    dom.frames();
    await settled();
    dom.frames();
    await settled();
  };
  await show();
  const titles = () => [...bar.cells].sort(([a], [b]) => a - b).map(([, cell]) => cell.element.title);
  return { bar, asked, told, show, titles };
}

const current = (id, rest = {}) => ({ id, position: id - 1, nPoints: 7, state: "in_progress", isComplete: false, ...rest });

test("only images in sight are in the page, and only they are asked for", async () => {
  const { bar, asked, titles } = await strip();

  assert.deepEqual(asked, ["start=0&count=60"]);
  assert.deepEqual([titles().length, titles()[1]], [10, "image 2: not started, 2 points"]);
  assert.equal(bar.track.style.width, `${300 * ITEM_PX}px`);
});

test("the image shown comes into sight, with what this tab knows of it", async () => {
  const { bar, asked, titles, show } = await strip();

  await show(current(200));

  assert.ok(asked.includes("start=180&count=60"));
  assert.ok(titles().includes("image 200: in progress, 7 points"));
  assert.equal(bar.scroller.getAttribute("aria-activedescendant"), "image-200");
  assert.deepEqual([bar.idAt(199), bar.positionOf(200), bar.positionOf(120)], [200, 199, null]);
});

test("a click goes to the image; arrows move along the strip, and Enter goes to where they led and back to the picture", async () => {
  const { bar, told, show } = await strip();
  await show(current(2));
  const press = (key) => fire(bar.scroller, "keydown", { key });
  const pointed = async () => (await show(current(2)), bar.scroller.getAttribute("aria-activedescendant"));

  bar.cells.get(2).element.click();
  assert.equal(await pointed(), "image-2");
  for (const key of ["ArrowRight", "ArrowRight", "ArrowLeft"]) press(key);
  assert.equal(await pointed(), "image-3");
  press("End");
  assert.equal(await pointed(), "image-300"); // far away, and brought into sight
  press(" ");
  press("Home");
  fire(bar.scroller, "blur");
  assert.equal(await pointed(), "image-2"); // the image shown
  press("Enter"); // no arrow led away from it

  assert.deepEqual(told, [3, 300, "leave", "leave"]);
});

test("the images that promise most come first where that is wanted, and neighbours follow", async () => {
  const { bar, told, show } = await strip();
  bar.sort(true);
  await new Promise((resolve) => setTimeout(resolve, 850)); // until what is known counts as old
  await show(current(300, { position: 0 }));

  assert.deepEqual(told, [true, [300, 299]]);
  assert.equal(bar.cells.get(1).element.title, "image 299: not started, 299 points, gain 29.90");
  const placed = bar.placed(imageOf(299));
  assert.deepEqual([placed.position, placed.previous_id, placed.next_id], [1, 300, 298]);
  bar.sort(false);
  assert.deepEqual([told.at(-1), bar.placed(imageOf(2)).next_id], [null, 3]);
});

test("in a project that counts, all marked stands for done", async () => {
  const { bar, titles, show } = await strip({ counts: true, items: (id) => ({ ...itemOf(id), is_complete: id < 3, n_points: id - 1 }) });
  await show(current(3, { nPoints: 1 }));

  assert.deepEqual(titles().slice(0, 3), ["image 1: no objects here", "image 2: all of 1 object marked", "image 3: in progress, 1 object"]);
  assert.deepEqual([bar.cells.get(0).element.dataset.state, bar.cells.get(2).element.dataset.state], ["done", "in_progress"]);
});

test("what could not be fetched is asked for again", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { bar, asked } = await strip();
  const answering = globalThis.fetch;
  globalThis.fetch = async (url) => {
    asked.push(url.split("?")[1]);
    throw new Error("out of reach");
  };
  bar.refresh();
  context.mock.timers.tick(1000);
  await settled();
  globalThis.fetch = answering;
  dom.frames();
  await settled();
  assert.equal(asked.length, 2);
  context.mock.timers.tick(1000);
  await settled();

  assert.equal(asked.length, 3);
});

test("a tag chooses the images that are shown, and an image that is chosen no more keeps its neighbours", async () => {
  const { bar, asked, told, show, titles } = await strip();
  bar.setClasses([{ id: 5, name: "coral" }]);
  const chosen = [30, 20, 10];
  globalThis.fetch = async (url) => {
    const query = new URL(url).searchParams;
    asked.push(url.split("?")[1]);
    const ids = query.get("ids")?.split(",").map(Number) ?? [];
    return { ok: true, json: async () => ({ items: ids.map(itemOf), order: query.get("tag") ? [...chosen] : undefined, waiting: 0, ranked: 3 }) };
  };
  bar.filter("5:yes");
  await settled();
  await show();

  assert.ok(asked.includes("tag=5%3Ayes&sort="));
  assert.equal(bar.track.style.width, `${3 * ITEM_PX}px`);
  assert.deepEqual(titles().map((title) => title.split(":")[0]), ["image 30", "image 20", "image 10"]);
  assert.match(bar.progress.textContent, /3 images/);
  const neighbours = (id) => [bar.placed(imageOf(id)).previous_id, bar.placed(imageOf(id)).next_id];
  assert.deepEqual(neighbours(20), [30, 10]);
  assert.deepEqual([bar.among(20, 300), bar.among(99, 300)], [3, 300]);

  bar.order = [30, 10];
  assert.deepEqual(neighbours(20), [30, 10], "it stood between them");
  assert.deepEqual(neighbours(99), [null, 30]);
  bar.filter("");
  await show();
  assert.deepEqual([told.at(-1), bar.track.style.width], [null, `${300 * ITEM_PX}px`]);
});

test("a class that is removed chooses nothing any more", async () => {
  const { bar } = await strip();
  bar.setClasses([{ id: 5, name: "coral" }]);
  bar.filter("5:no");

  bar.setClasses([{ id: 6, name: "sand" }]);

  assert.equal(bar.tag, "");
});
