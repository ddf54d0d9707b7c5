import assert from "node:assert/strict";
import { test } from "node:test";

import { ClickSpans, spansInWords } from "../../fcnlab/web/canvas/assets/protocol/spans.js";

/** Spans with a clock that the test moves. */
function clocked() {
  const clock = { ms: 100 };
  return { clock, spans: new ClickSpans(() => clock.ms) };
}

test("each step of a click is the time since the click, the first time it comes", () => {
  const { clock, spans } = clocked();
  spans.clicked(3);
  clock.ms = 104;
  spans.reached("sent");
  clock.ms = 130;
  spans.reached("acknowledged", 3);
  clock.ms = 180.26;
  spans.reached("received", 4);
  clock.ms = 190;
  spans.reached("received", 4);
  assert.equal(spans.isPainted, false);
  spans.reached("painted", 4);

  assert.deepEqual(spans.steps, { sent: 4, acknowledged: 30, received: 80.3, painted: 90 });
  assert.equal(spans.isPainted, true);
});

test("what covers earlier clicks only is no step of this one", () => {
  const { spans } = clocked();
  spans.clicked(3);
  spans.reached("received", 2);
  assert.deepEqual(spans.steps, {});
});

test("nothing is measured before the first click", () => {
  const { spans } = clocked();
  spans.reached("painted", 7);
  assert.deepEqual(spans.steps, {});
});

test("words name server parts and browser steps, and leave out what is not known", () => {
  assert.equal(spansInWords({}, {}), "");
  assert.equal(spansInWords({ fit: 12.34, walk: 7 }, {}), "Server, ms: fit 12.3, walk 7.0");
  assert.equal(
    spansInWords({ fit: 1 }, { painted: 160.2, sent: 3 }),
    "Server, ms: fit 1.0\nBrowser, ms after the click: sent 3, painted 160",
  );
});
