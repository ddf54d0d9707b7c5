import assert from "node:assert/strict";
import { test } from "node:test";

import { patchOf } from "../../fcnlab/web/canvas/assets/state/strokes.js";
import { Brush, brushLimits, brushSize, resizeBrush } from "../../fcnlab/web/canvas/assets/tools/brush.js";
import { PointTool } from "../../fcnlab/web/canvas/assets/tools/points.js";
import { StubContext, installDom } from "./support/dom.js";
import { at, imageOf, pageOf, sceneOf } from "./support/page.js";

installDom();

function painting(scene = sceneOf(), state = {}) {
  const page = pageOf(scene, state);
  let nRedraws = 0;
  const parts = { ...page, redraw: () => void (nRedraws += 1) };
  const [brush, eraser] = [new Brush(parts, false), new Brush(parts, true)];
  page.toolbox.tools = { points: new PointTool(page), brush, eraser };
  page.toolbox.choose("brush");
  return { ...page, brush, eraser, nRedraws: () => nRedraws };
}

/** @param {Brush} tool */
function drag(tool, ...places) {
  tool.onDown(places[0]);
  for (const place of places.slice(1)) tool.onMove(place, [place]);
  tool.onUp(places[places.length - 1]);
}

test("a drag becomes one stroke of the current class, where the brush went", () => {
  const { brush, events, stop } = painting();

  drag(brush, at(20, 30), at(60, 30));

  const [{ kind, class_id: classId, ...stroke }] = events();
  assert.deepEqual([kind, classId], ["brush", 1]);
  const { top, left, height, width, inside } = patchOf(stroke);
  assert.deepEqual([top, left, height, width], [26, 16, 8, 48]); // 8 pixels wide round row 30, from column 20 to 60
  assert.equal(inside[4 * width + 4], 1);
  stop();
});

test("the eraser paints no class", () => {
  const { eraser, events, toolbox, stop } = painting();
  toolbox.choose("eraser");

  drag(eraser, at(20, 30), at(60, 30));

  assert.deepEqual(events().map((event) => event.class_id), [null]);
  stop();
});

test("the stroke is seen while the button is down, and is no event yet", () => {
  const { brush, events, nRedraws, stop } = painting();
  const context = new StubContext(null);

  brush.onDown(at(20, 30));
  const before = nRedraws();
  brush.onMove(at(60, 30), [at(40, 30), at(60, 30)]);
  brush.draw(context, { scale: 1, x: 0, y: 0 });

  assert.ok(nRedraws() > before);
  assert.deepEqual(context.called("lineTo").map((call) => call.slice(1)), [[20, 30], [40, 30], [60, 30]]);
  assert.equal(context.called("stroke")[0].strokeStyle, "#ff0000");
  assert.deepEqual(events(), []);
  stop();
});

test("a stroke stays where it was painted while the picture is moved under it", () => {
  const { brush, events, store, stop } = painting(sceneOf(), { view: { scale: 2, x: 10, y: 0 } });

  brush.onDown(at(50, 60));
  store.set({ view: { scale: 2, x: 110, y: 0 } });
  brush.onMove(at(150, 60), [at(150, 60)]);
  brush.onUp(at(150, 60));

  assert.deepEqual([events()[0].left, events()[0].width], [16, 8]); // round column 20, twice
  stop();
});

test("Escape takes back the stroke that is being painted, then puts the brush away", () => {
  const { brush, events, store, stop } = painting();
  brush.onDown(at(20, 30));

  brush.onKey({ type: "escape" });
  brush.onUp(at(60, 30));
  assert.deepEqual([events(), store.state.tool], [[], "brush"]);
  brush.onKey({ type: "escape" });
  assert.equal(store.state.tool, "points");
  stop();
});

test("undo waits while the button is down", () => {
  const { brush, stop } = painting();

  assert.equal(brush.onKey({ type: "undo" }), false);
  brush.onDown(at(20, 30));
  assert.equal(brush.onKey({ type: "undo" }), true);
  stop();
});

test("another tool in the middle of a stroke drops it", () => {
  const { brush, eraser, events, toolbox, stop } = painting();
  brush.onDown(at(20, 30));

  toolbox.choose("eraser");
  brush.onUp(at(60, 30));

  assert.deepEqual(events(), []);
  assert.equal(eraser.path, null);
  stop();
});

test("nothing is painted on a done image, or while another picture is on its way", () => {
  const closed = painting(sceneOf({ image: imageOf(1, { state: "done" }) }));
  const veiled = painting(sceneOf(), { picture: "loading" });

  assert.equal(closed.brush.onDown(at(20, 30)), false);
  assert.equal(veiled.brush.onDown(at(20, 30)), false);
  closed.stop();
  veiled.stop();
});

test("a stroke that ends on another image is not kept", () => {
  const { brush, events, labelling, store, stop } = painting();
  brush.onDown(at(20, 30));

  labelling.receive(sceneOf({ image: imageOf(2) }));
  labelling.show();
  store.set({ labelled: labelling.now() });
  brush.onUp(at(60, 30));

  assert.deepEqual(events(), []);
  stop();
});

test("painting shows the mask, and the picture's classes", () => {
  const { store, stop } = painting(sceneOf(), { display: { ...pageOf().store.state.display, mode: "uncertainty", overlay: false } });

  assert.deepEqual([store.state.display.mode, store.state.display.overlay], ["mask", true]);
  stop();
});

test("the brush goes from one pixel of the mask to half the picture", () => {
  const { brush, store, stop } = painting(sceneOf({ image: imageOf(1, { width: 6000, height: 3000 }) }));

  assert.deepEqual(brushLimits(store.state), { smallest: 4, largest: 1500 }); // 6000 pixels in 1536 cells
  store.set({ received: { imageId: 1, width: 2000, height: 1000 } });
  assert.equal(brushLimits(store.state).smallest, 3);
  resizeBrush(store, 99_999);
  assert.equal(brushSize(store.state), 1500);
  brush.onWheel(-1);
  assert.equal(brushSize(store.state), 1250);
  for (let n = 0; n < 60; n += 1) brush.onKey({ type: "fainter" });
  assert.equal(brushSize(store.state), 3);
  brush.onKey({ type: "stronger" });
  assert.equal(brushSize(store.state), 4);
  stop();
});
