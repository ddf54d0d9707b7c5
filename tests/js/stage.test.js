import assert from "node:assert/strict";
import { test } from "node:test";

import { DEFAULT_DISPLAY } from "../../fcnlab/web/canvas/assets/state/settings.js";
import { Fill } from "../../fcnlab/web/canvas/assets/view/fill.js";
import { Flight } from "../../fcnlab/web/canvas/assets/view/flight.js";
import { drawCircle, drawDots, drawRing, sized } from "../../fcnlab/web/canvas/assets/view/marks.js";
import { drawAim, drawObjects } from "../../fcnlab/web/canvas/assets/view/numbers.js";
import { Pictures } from "../../fcnlab/web/canvas/assets/view/pictures.js";
import { Stage } from "../../fcnlab/web/canvas/assets/view/stage.js";
import { TileLayer } from "../../fcnlab/web/canvas/assets/view/tiles.js";
import { installDom, settled, StubContext, StubElement } from "./support/dom.js";
import { CLASSES, imageOf } from "./support/page.js";

const dom = installDom();
const VIEW = { scale: 2, x: 10, y: 4 };
const SIZE = { width: 400, height: 300 };

const overlayOf = (number, rest = {}) => ({
  imageId: 1, mode: "mask", classId: 0, number, covers: number, width: 6, height: 4, values: new Uint8Array(24).fill(1), base: 0,
  patch: { top: 0, left: 0, height: 4, width: 6 }, ...rest,
});

function shown(image = imageOf(1)) {
  const stage = new Stage();
  stage.element.box = { left: 0, top: 0, ...SIZE };
  stage.setClasses(CLASSES);
  stage.setDisplay(DEFAULT_DISPLAY);
  stage.resize();
  stage.show(image, new Image(), ({ level, x, y }) => `tile/${level}/${x}/${y}`);
  dom.frames();
  return stage;
}

/** What was put into the fill: boxes, top first. */
const boxes = (canvas) => canvas.context.called("putImageData").map(([, pixels, left, top]) => [top, left, pixels.height, pixels.width]);

test("a new picture is shown whole, and is ready", () => {
  const stage = shown();

  assert.equal(stage.view.scale, (400 - 24) / 300);
  assert.deepEqual([stage.element.dataset.ready, stage.element.dataset.image], ["1", "1"]);
});

test("a mask is painted in the colours of its classes, and says which events it knows", () => {
  const stage = shown();
  const told = [];
  stage.onPainted = (covers) => told.push(covers);

  stage.setOverlay(overlayOf(3));
  dom.frames();

  const [[, pixels]] = stage.fill.canvas.context.called("putImageData");
  assert.deepEqual([...pixels.data.slice(0, 4)], [255, 0, 0, 255]);
  assert.deepEqual([told, stage.element.dataset.paintedSeq, stage.element.dataset.painted], [[3], "3", "3"]);
});

test("an overlay of another image is not painted", () => {
  const stage = shown();

  stage.setOverlay(overlayOf(3, { imageId: 2 }));
  dom.frames();

  assert.deepEqual(boxes(stage.fill.canvas), []);
});

test("after another picture nothing is left of the old overlay", () => {
  const stage = shown();
  stage.setOverlay(overlayOf(3));
  dom.frames();

  stage.show(imageOf(2), new Image(), () => "");
  dom.frames();

  assert.deepEqual([stage.overlay, stage.element.dataset.painted], [null, undefined]);
  assert.ok(stage.fill.canvas.context.called("clearRect").length > 0);
  stage.blank();
  assert.equal(stage.element.dataset.ready, undefined);
});

test("of an overlay that follows in the same memory only what differs is drawn", () => {
  const fill = new Fill();
  const values = new Uint8Array(24).fill(1);
  const follow = (overlay) => (fill.follow(overlay), fill.draw(overlay, CLASSES, { background: false }));

  follow(overlayOf(3, { values }));
  follow(overlayOf(4, { values, base: 3, patch: { top: 1, left: 2, height: 2, width: 3 } }));
  follow(overlayOf(6, { values, base: 5, patch: { top: 1, left: 2, height: 1, width: 1 } })); // one was missed
  follow(overlayOf(7, { values: values.slice(), base: 6, patch: { top: 0, left: 0, height: 1, width: 1 } })); // another memory

  assert.deepEqual(boxes(fill.canvas), [[0, 0, 4, 6], [1, 2, 2, 3], [0, 0, 4, 6], [0, 0, 4, 6]]);
});

test("patches that come before a frame is drawn are drawn together; colours that changed draw everything", () => {
  const fill = new Fill();
  const values = new Uint8Array(24).fill(1);
  const last = overlayOf(5, { values, base: 4, patch: { top: 2, left: 4, height: 1, width: 1 } });
  fill.follow(overlayOf(3, { values }));
  fill.draw(overlayOf(3, { values }), CLASSES, { background: false });
  fill.follow(overlayOf(4, { values, base: 3, patch: { top: 0, left: 1, height: 1, width: 1 } }));
  fill.follow(last);
  fill.draw(last, CLASSES, { background: false });
  fill.expire();
  fill.draw(last, CLASSES, { background: false });

  assert.deepEqual(boxes(fill.canvas).slice(1), [[0, 1, 3, 4], [0, 0, 4, 6]]);
});

test("outlines take the place of areas, and only in masks", () => {
  const stage = shown();
  const values = Uint8Array.from({ length: 24 }, (_, k) => (k % 6 < 3 ? 1 : 0));
  stage.setDisplay({ ...DEFAULT_DISPLAY, contour: true });
  stage.setOverlay(overlayOf(3, { values }));
  dom.frames();

  assert.equal(stage.borders.context.called("putImageData").length, 1);
  assert.ok(stage.borders.context.called("putImageData")[0][1].data.some((value) => value > 0));
  assert.deepEqual(boxes(stage.fill.canvas), []);
});

test("a hidden overlay is out of sight, and under a heat map the picture is grey", () => {
  const stage = shown();

  stage.setDisplay({ ...DEFAULT_DISPLAY, overlay: false });
  assert.deepEqual([stage.fill.canvas.style.opacity, stage.borders.style.opacity, stage.picture.style.filter], ["0", "0", ""]);
  stage.setDisplay({ ...DEFAULT_DISPLAY, mode: "uncertainty", brightness: 2 });
  assert.deepEqual([stage.fill.canvas.style.opacity, stage.picture.style.filter], ["0.5", "brightness(2) grayscale(1)"]);
});

test("only a tool that paints draws under the points; all may draw over them", () => {
  const stage = shown();
  const drawn = [];
  const tool = { paints: true, draw: () => drawn.push("under"), drawOver: () => drawn.push("over") };
  stage.tool = () => tool;

  stage.redraw("strokes", "dots");
  dom.frames();
  tool.paints = false;
  stage.redraw("strokes", "dots");
  dom.frames();

  assert.deepEqual(drawn, ["under", "over", "over"]);
  assert.equal(stage.strokes.width, 0);
});

test("moving the picture keeps the pixel under the cursor, and some of the picture in sight", () => {
  const stage = shown();
  const before = (200 - stage.view.x) / stage.view.scale;

  stage.zoom(3, 200, 100);
  assert.ok(Math.abs((200 - stage.view.x) / stage.view.scale - before) < 1e-9);
  assert.equal(stage.isFitted, false);
  stage.pan(99_999, 0);
  assert.ok(stage.view.x < SIZE.width);
  stage.fit();
  assert.equal(stage.isFitted, true);
});

test("a pixel that is asked about is come near to, above what covers the picture", () => {
  const stage = shown();
  stage.coveredPx = 100;

  stage.setRing({ row: 50, col: 60 });
  stage.approach({ row: 50, col: 60 });

  assert.equal(stage.element.dataset.asked, "50,60");
  assert.ok(stage.view.scale > (400 - 24) / 300 && 50.5 * stage.view.scale + stage.view.y < 200);
  stage.setRing(null);
  assert.equal(stage.element.dataset.asked, undefined);
});

test("a flight ends at its goal, at once for those who want no movement", () => {
  const views = [];
  const flight = new Flight((view) => views.push(view));
  const [from, to] = [{ scale: 1, x: 0, y: 0 }, { scale: 4, x: -100, y: -50 }];

  flight.go(from, to, SIZE);
  dom.frames();

  assert.equal(views.length, 1);
  for (const name of ["scale", "x", "y"]) assert.ok(Math.abs(views[0][name] - to[name]) < 1e-9);
});

test("a flight moves step by step, and ends where it is when something else moves the picture", () => {
  const views = [];
  globalThis.window.matchMedia = () => ({ matches: false });
  const flight = new Flight((view) => views.push(view));

  flight.go({ scale: 1, x: 0, y: 0 }, { scale: 4, x: -100, y: -50 }, SIZE);
  flight.land();
  dom.frames();
  globalThis.window.matchMedia = () => ({ matches: true });

  assert.equal(views.length, 1);
  assert.ok(views[0].scale < 4);
});

test("points in sight are drawn in the colours of their classes, the one that a right click removes larger", () => {
  const context = new StubContext(null);
  const colours = new Map(CLASSES.map(({ id, colour }) => [id, colour]));

  drawDots(context, VIEW, SIZE, [["a:1", 10, 20, 1], ["a:2", 20, 30, 2], ["a:3", 900, 20, 1]], colours, "a:2");

  const discs = context.called("fill").map((call) => call.fillStyle);
  assert.deepEqual(discs.filter((colour) => colour === "#ff0000" || colour === "#00ff00"), ["#ff0000", "#00ff00"]);
  const radii = context.called("arc").map((call) => call.slice(1, 4));
  assert.deepEqual(radii[2], [51, 25, 3.5]); // the middle of row 10, column 20
  assert.deepEqual(radii.at(-1), [71, 45, 4.75]);
});

test("the asked pixel is ringed, and outlined once it is large enough", () => {
  const paths = (scale) => {
    const context = new StubContext(null);
    drawRing(context, { ...VIEW, scale }, { row: 10, col: 20 });
    return context.called("stroke").flatMap(([, path]) => path.parts.map(([kind]) => kind));
  };

  assert.deepEqual(paths(2), ["arc", "arc"]); // dark, then white
  assert.deepEqual(paths(4), ["arc", "arc", "rect", "rect"]);
});

test("the circle of a thin brush can still be seen", () => {
  const context = new StubContext(null);

  drawCircle(context, { sx: 5, sy: 6 }, 0.1);
  drawCircle(context, { sx: 5, sy: 6 }, 30);

  assert.deepEqual(context.called("stroke").map(([, path]) => path.parts[0][3]), [2.5, 2.5, 30, 30]);
});

test("a canvas has one pixel per pixel of the screen, and is empty", () => {
  const canvas = new StubElement("canvas");
  globalThis.window.devicePixelRatio = 2;
  sized(canvas, SIZE);
  const context = sized(canvas, SIZE);
  globalThis.window.devicePixelRatio = 1;

  assert.deepEqual([canvas.width, canvas.height, context.called("clearRect").length], [800, 600, 1]);
});

test("objects are numbered where there is room, and dots elsewhere; what is marked keeps its number beside its point", () => {
  const objects = [{ row: 10, col: 20, classId: 1, number: 1, score: 0.5 }, { row: 40, col: 60, classId: 2, number: 2, score: 0.5 }];
  const draw = (isRoomy, said) => {
    const context = new StubContext(null);
    drawObjects(context, VIEW, SIZE, objects, said, { colours: new Map([[1, "#ff0000"]]), isRoomy });
    return context;
  };

  assert.deepEqual(draw(true, ["open", "marked"]).called("fillText").map((call) => call.slice(1)), [["1", 51, 25], ["2", 131, 74]]);
  assert.deepEqual(draw(false, ["open", "marked"]).called("arc").map((call) => call.slice(1, 3)), [[51, 25]]);
  const context = new StubContext(null);
  drawAim(context, VIEW, objects[0]);
  assert.equal(context.called("stroke").length, 2);
});

test("the newest picture asked for is shown, whichever arrives first", async () => {
  const used = [];
  const states = [];
  const pictures = new Pictures((state) => states.push(state));
  const before = dom.images.length;

  pictures.load("one.png", () => used.push("one"));
  pictures.load("two.png", () => used.push("two"));
  dom.images[before + 1].arrive();
  dom.images[before].arrive();
  await settled();

  assert.deepEqual([used, states], [["two"], ["shown"]]);
});

test("a picture that fails is asked for again, until nobody wants it", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const states = [];
  const pictures = new Pictures((state) => states.push(state));
  const before = dom.images.length;

  pictures.load("one.png", () => states.push("used"));
  context.mock.timers.tick(300);
  dom.images[before].fail();
  await settled();
  context.mock.timers.tick(3000);
  assert.deepEqual(states, ["loading", "failed"]);
  dom.images[before + 1].arrive();
  await settled();
  pictures.load("two.png", () => states.push("used"));
  pictures.stop();
  dom.images[before + 2].arrive();
  await settled();

  assert.deepEqual(states.slice(2), ["used", "shown"]);
});

test("the next picture is fetched ahead once", () => {
  const pictures = new Pictures(() => {});
  const before = dom.images.length;

  pictures.prefetch("next.png");
  pictures.prefetch("next.png");
  pictures.prefetch(null);

  assert.deepEqual(dom.images.slice(before).map(({ src }) => src), ["next.png"]);
});

test("tiles in sight are fetched a few at a time, and drawn when they arrive", async () => {
  const canvas = new StubElement("canvas");
  let nRedraws = 0;
  const layer = new TileLayer(canvas, () => (nRedraws += 1));
  const before = dom.images.length;
  layer.show({ width: 4000, height: 3000, tile_px: 512, levels: 3 }, ({ level, x, y }) => `${level}/${x}/${y}`);

  layer.draw({ scale: 1, x: -600, y: -600 }, { width: 1200, height: 900 });
  const asked = dom.images.slice(before);
  assert.deepEqual([asked.length, canvas.dataset.level, canvas.dataset.missing], [4, "0", "6"]);
  Object.assign(asked[0].box, { width: 512, height: 512 });
  asked[0].arrive();
  await settled();
  layer.draw({ scale: 1, x: -600, y: -600 }, { width: 1200, height: 900 });

  assert.equal(nRedraws, 1);
  assert.equal(canvas.dataset.missing, "5");
  const [, picture, left, top, width, height] = canvas.context.called("drawImage").at(-1);
  const [, x, y] = picture.src.split("/").map(Number);
  assert.deepEqual([left, top, width, height], [x * 512 - 600, y * 512 - 600, 512, 512]);
});

test("a tile that failed is asked for again; tiles of another picture are not drawn", async () => {
  const layer = new TileLayer(new StubElement("canvas"), () => {});
  const image = { width: 600, height: 400, tile_px: 512, levels: 1 };
  const before = dom.images.length;
  layer.show(image, ({ x }) => `a/${x}`);
  layer.draw({ scale: 1, x: 0, y: 0 }, SIZE);
  dom.images[before].fail();
  await settled();
  layer.draw({ scale: 1, x: 0, y: 0 }, SIZE);
  assert.deepEqual(dom.images.slice(before).map(({ src }) => src), ["a/0", "a/0"]);

  layer.show(image, ({ x }) => `b/${x}`);
  dom.images[before + 1].arrive();
  await settled();
  layer.draw({ scale: 1, x: 0, y: 0 }, SIZE);
  assert.equal(layer.canvas.context.called("drawImage").length, 0);
  layer.hide();
  layer.draw({ scale: 1, x: 0, y: 0 }, SIZE);
  assert.equal(layer.canvas.width, 0);
});
