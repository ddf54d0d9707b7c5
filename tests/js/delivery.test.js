// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Delivery } from "../../fcnlab/web/canvas/assets/protocol/delivery.js";

const BATCH = { client_id: "client-of-test", log: [{ seq: 1 }] };

/** @param {() => any} answer */
function delivery(answer) {
  /** @type {any[]} */
  const sent = [];
  /** @type {string[]} */
  const refused = [];
  const parts = {
    address: () => "http://here/fcnlab/key/events",
    sender: () => ({ labeller: "Ada", image: { id: 4, revision: 9 } }),
    onRefused: (/** @type {string} */ message) => void refused.push(message),
    onGone: () => void refused.push("gone"),
    fetch: /** @type {any} */ (async (/** @type {string} */ url, /** @type {any} */ options) => {
      sent.push({ url, ...options, body: JSON.parse(options.body) });
      return answer();
    }),
  };
  return { delivery: new Delivery(parts), sent, refused };
}

/** @param {number} status @param {string} text @param {string} [type] */
const said = (status, text, type = "text/plain; charset=utf-8") => ({
  ok: status < 300,
  status,
  headers: new Map([["Content-Type", type]]),
  text: async () => text,
  json: async () => JSON.parse(text),
});

test("a log travels with who labels and the image shown, and the answer comes back", async () => {
  const { delivery: way, sent } = delivery(() => said(200, '{"refusals": []}', "application/json"));

  assert.deepEqual(await way.send(BATCH), { refusals: [] });

  assert.deepEqual([sent[0].method, sent[0].url], ["POST", "http://here/fcnlab/key/events"]);
  assert.deepEqual(sent[0].body, { ...BATCH, labeller: "Ada", image: { id: 4, revision: 9 } });
});

test("no connection and passing faults are no answer, and nothing is said of them", async () => {
  for (const answer of [() => Promise.reject(new TypeError("no network")), () => said(500, "oops"), () => said(502, "<p>proxy</p>", "text/html")]) {
    const { delivery: way, refused } = delivery(answer);

    assert.equal(await way.send(BATCH), null);
    assert.deepEqual(refused, []);
  }
});

test("a refusal is said in the words of the server, and so is a database that is busy", async () => {
  for (const [status, text] of /** @type {[number, string][]} */ ([[410, "This project was deleted"], [503, "The database does not answer"]])) {
    const { delivery: way, refused } = delivery(() => said(status, text));

    assert.equal(await way.send(BATCH), null);
    assert.equal(await way.send(BATCH), null);
    assert.deepEqual(refused.filter((message) => message !== "gone"), [text], "once");
    assert.equal(refused.includes("gone"), status === 410);
  }
});
