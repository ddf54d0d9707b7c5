// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { OverlayPoll } from "../../fcnlab/web/canvas/assets/protocol/poll.js";
import { appBase, Routes } from "../../fcnlab/web/canvas/assets/protocol/routes.js";

const META = { overlay: 1, status: 1, phase: "idle", progress: 1, message: "", milliseconds: 9, spans: {}, updated_at: null, width: 3, height: 2, covers: 5, shown_done: false };

/** @param {object} meta @param {number[] | null} values */
function answer(meta, values = null) {
  return {
    status: values ? 200 : 204,
    headers: new Headers({ "X-Fcnlab-Meta": JSON.stringify({ ...META, ...meta }) }),
    arrayBuffer: async () => new Uint8Array(values ?? []).buffer,
  };
}

/**
 * A poll that is given these answers one after the other, then waits for ever.
 * @param {(object | Error)[]} answers
 * @param {{cannotDraw?: boolean}} [how]
 */
async function run(answers, { cannotDraw = false } = {}) {
  /** @type {any} */
  const seen = { asked: [], overlays: [], metas: [], reach: [], troubles: [], gone: 0, slept: [] };
  let finish = () => {};
  const finished = new Promise((resolve) => (finish = () => resolve(undefined)));
  const poll = new OverlayPoll({
    pollS: 25,
    address: (wish, after, status) => `${wish.imageId}/${wish.mode}/${after}/${status}`,
    onMeta: (meta) => seen.metas.push(meta),
    onOverlay: (overlay) => {
      seen.overlays.push(overlay);
      if (cannotDraw) throw new Error("a fault in drawing");
    },
    onReach: (reachable) => seen.reach.push(reachable),
    onTrouble: (message) => seen.troubles.push(message),
    onGone: () => {
      seen.gone += 1;
      finish();
    },
    fetch: /** @type {any} */ (
      async (/** @type {string} */ url, /** @type {RequestInit} */ { signal }) => {
        seen.asked.push(url);
        const next = answers.shift();
        if (next === undefined) {
          finish();
          return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("aborted"))));
        }
        if (next instanceof Error) throw next;
        return next;
      }
    ),
    sleep: async (ms) => void seen.slept.push(ms),
  });
  poll.watch({ imageId: 4, mode: "mask", classId: 0 });
  await finished;
  poll.stop();
  return seen;
}

test("an overlay is passed on with its numbers, then newer ones are asked for", async () => {
  const seen = await run([answer({ overlay: 6, status: 9 }, [0, 1, 0, 1, 0, 1])]);

  assert.deepEqual(seen.asked, ["4/mask/0/0", "4/mask/6/9"]);
  assert.deepEqual([...seen.overlays[0].values], [0, 1, 0, 1, 0, 1]);
  assert.equal(seen.overlays[0].covers, 5);
});

test("a bare status keeps the overlay", async () => {
  const seen = await run([answer({ overlay: 6 }, [0, 1, 0, 1, 0, 1]), answer({ overlay: 6, status: 2 })]);

  assert.deepEqual(seen.asked.at(-1), "4/mask/6/2");
  assert.equal(seen.overlays.length, 1);
  assert.equal(seen.metas.length, 2);
});

test("a body of another size is not shown", async () => {
  const seen = await run([answer({ overlay: 6 }, [0, 1])]);

  assert.equal(seen.overlays.length, 0);
});

test("a box that changed is laid into the overlay before", async () => {
  const seen = await run([
    answer({ overlay: 6 }, [0, 1, 0, 1, 0, 1]),
    answer({ overlay: 8, base: 6, box: [1, 1, 1, 2] }, [7, 9]),
    answer({ overlay: 9, base: 8, box: [0, 0, 0, 0] }, []),
  ]);

  assert.deepEqual(seen.asked, ["4/mask/0/0", "4/mask/6/1", "4/mask/8/1", "4/mask/9/1"]);
  assert.deepEqual([...seen.overlays[2].values], [0, 1, 0, 1, 7, 9]);
  assert.deepEqual(seen.overlays[1].patch, { top: 1, left: 1, height: 1, width: 2 });
});

test("after a box of an overlay that is not here, the whole is asked for", async () => {
  const seen = await run([
    answer({ overlay: 6 }, [0, 1, 0, 1, 0, 1]),
    answer({ overlay: 8, base: 7, box: [1, 1, 1, 2] }, [7, 9]),
    answer({ overlay: 8 }, [2, 2, 2, 2, 2, 2]),
  ]);

  assert.deepEqual(seen.asked.slice(2), ["4/mask/0/1", "4/mask/8/1"]);
  assert.deepEqual(seen.overlays.map((/** @type {any} */ one) => one.number), [6, 8]);
});

test("a server that counts anew is believed", async () => {
  const seen = await run([answer({ overlay: 60, status: 90 }, [0, 1, 0, 1, 0, 1]), answer({ overlay: 2, status: 3 })]);

  assert.equal(seen.asked.at(-1), "4/mask/0/3");
});

test("a broken connection is retried ever more slowly, from the beginning", async () => {
  const broken = () => new TypeError("failed to fetch");
  const seen = await run([answer({ overlay: 6 }, [0, 1, 0, 1, 0, 1]), broken(), broken(), broken(), answer({})]);

  assert.deepEqual(seen.reach, [true, false, false, false, true]);
  assert.deepEqual(seen.slept.filter((/** @type {number} */ ms) => ms >= 300), [300, 600, 1200]);
  assert.equal(seen.asked[2], "4/mask/0/0");
});

/** @param {number} status @param {string} text */
function refusal(status, text) {
  return { status, headers: new Headers({ "Content-Type": "text/plain; charset=utf-8" }), text: async () => text };
}

test("an image that is gone for good is asked for once", async () => {
  const seen = await run([refusal(410, "image 4 was deleted")]);

  assert.equal(seen.asked.length, 1);
  assert.equal(seen.gone, 1);
});

test("any other refusal is said as it is and asked again, ever more slowly, until the server can", async () => {
  for (const status of [400, 403, 404, 409, 429, 502, 503]) {
    const seen = await run([
      answer({ overlay: 6, status: 3 }, [0, 1, 0, 1, 0, 1]),
      ...[1, 2, 3].map(() => refusal(status, "the database did not answer")),
      answer({ overlay: 7, base: 6, box: [1, 1, 1, 2] }, [7, 9]),
    ]);

    assert.equal(seen.gone, 0);
    assert.deepEqual(seen.reach, [true, true, true, true, true]);
    assert.deepEqual(seen.troubles, Array(3).fill("the database did not answer"));
    assert.deepEqual(seen.slept.filter((/** @type {number} */ ms) => ms >= 300), [300, 600, 1200]);
    assert.deepEqual(seen.asked.slice(0, 3), ["4/mask/0/0", "4/mask/6/3", "4/mask/6/0"]);
    assert.deepEqual([...seen.overlays.at(-1).values], [0, 1, 0, 1, 7, 9]);
  }
});

test("a fault that the server cannot explain is said without its page", async () => {
  const page = { status: 500, headers: new Headers({ "Content-Type": "text/html" }), text: async () => "<h1>Oops" };
  const seen = await run([page, answer({})]);

  assert.match(seen.troubles[0], /500.*log/);
});

test("a fault in drawing is not taken for a dead server, and nothing is fetched again for it", async (context) => {
  const reported = context.mock.method(console, "error", () => {});
  const seen = await run(
    [
      answer({ overlay: 6, status: 1 }, [0, 1, 0, 1, 0, 1]),
      answer({ overlay: 8, status: 2, base: 6, box: [1, 1, 1, 2] }, [7, 9]),
    ],
    { cannotDraw: true },
  );

  assert.deepEqual(seen.reach, [true, true]);
  assert.deepEqual(seen.asked, ["4/mask/0/0", "4/mask/6/1", "4/mask/8/2"]);
  assert.equal(seen.metas.length, 2);
  assert.equal(reported.mock.callCount(), 2);
});

test("addresses begin where the app is served", () => {
  const base = appBase("https://lab.example/tools/_stcore/bidi-components/fcnlab.workspace/canvas.js");
  const routes = new Routes(base, "k3y");

  assert.equal(routes.image(4), "https://lab.example/tools/fcnlab/k3y/image/4");
  assert.equal(new Routes(base, "k3y", "a1").thumbnail(4), "https://lab.example/tools/fcnlab/k3y/thumb/4?look=a1");
  assert.equal(
    routes.overlay({ imageId: 4, after: 1, status: 2, mode: "mask", classIds: [3], clientId: "tab" }),
    "https://lab.example/tools/fcnlab/k3y/overlay/4?after=1&status=2&mode=mask&class_id=3&client=tab",
  );
});
