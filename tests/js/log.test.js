// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { claim } from "../../fcnlab/web/canvas/assets/protocol/identity.js";
import { EventLog } from "../../fcnlab/web/canvas/assets/protocol/log.js";
import { Sender } from "../../fcnlab/web/canvas/assets/protocol/sender.js";
import { CONSTANTS } from "./support/constants.js";

class Memory {
  constructor() {
    this.values = new Map();
  }
  getItem(name) {
    return this.values.get(name) ?? null;
  }
  setItem(name, value) {
    this.values.set(name, value);
  }
}

let made = 0;

/** @param {Memory | null} memory */
function aLog(memory = new Memory()) {
  return new EventLog(memory, "log", () => `client-${(made += 1)}-of-test`, CONSTANTS.batch);
}

test("events are numbered from 1 in the order in which they happened", () => {
  const log = aLog();

  log.append("add", 4, { row: 1, col: 2, class_id: 0 });
  log.append("undo", 4);

  assert.deepEqual(log.batch().log.map((event) => [event.seq, event.kind]), [[1, "add"], [2, "undo"]]);
});

test("a reload finds the client id, the events and the next number", () => {
  const memory = new Memory();
  const before = aLog(memory);
  before.append("clear", 4);
  before.append("clear", 5);
  before.acknowledge({ client_id: before.clientId, seq: 1 });

  const after = aLog(memory);

  assert.equal(after.clientId, before.clientId);
  assert.deepEqual(after.pending, before.pending);
  assert.equal(after.append("clear", 6).seq, 3);
});

test("an acknowledgement applies once, and only to its own tab", () => {
  const log = aLog();
  log.append("clear", 4);
  log.append("clear", 4);

  assert.equal(log.acknowledge({ client_id: "somebody-else", seq: 2 }), 0);
  assert.equal(log.acknowledge({ client_id: log.clientId, seq: 1 }), 1);
  assert.equal(log.acknowledge({ client_id: log.clientId, seq: 1 }), 0);
  assert.equal(log.acknowledge(null), 0);

  assert.deepEqual(log.pending.map((event) => event.seq), [2]);
});

test("numbers never repeat, even if the server knows more events than the tab", () => {
  const log = aLog();

  log.acknowledge({ client_id: log.clientId, seq: 7 });

  assert.equal(log.append("clear", 4).seq, 8);
});

test("a duplicated tab leaves the events to the first one", () => {
  const memory = new Memory();
  const first = aLog(memory);
  first.append("clear", 4);
  const copy = aLog(memory);

  copy.startOver();

  assert.notEqual(copy.clientId, first.clientId);
  assert.deepEqual(copy.pending, []);
  assert.equal(first.pending.length, 1);
});

test("a long log travels in parts, the oldest first", () => {
  const log = aLog(null);
  log.maxBatch = 50;
  for (let k = 0; k < 53; k += 1) log.append("clear", 4);

  assert.equal(log.batch().log.length, 50);
  assert.equal(log.batch().log[0].seq, 1);

  log.acknowledge({ client_id: log.clientId, seq: 50 });

  assert.equal(log.batch().log.length, 3);
});

test("long strokes travel a few at a time, and one at least", () => {
  const log = aLog(null);
  for (let k = 0; k < 5; k += 1) log.append("brush", 4, { runs: "1,".repeat(40_000) });
  log.append("brush", 4, { runs: "1,".repeat(400_000) });

  const sizes = [];
  for (let seq = 0; log.pending.length > 0; ) {
    const { log: batch } = log.batch();
    sizes.push(batch.length);
    log.acknowledge({ client_id: log.clientId, seq: (seq += batch.length) });
  }

  assert.deepEqual(sizes, [2, 2, 1, 1]);
});

test("without storage the log still works and says so", () => {
  const log = aLog(null);

  log.append("clear", 4);

  assert.equal(log.pending.length, 1);
  assert.equal(log.persistent, false);
});

test("what is damaged in the storage is not read", () => {
  const memory = new Memory();
  memory.setItem("log", '{"client_id": 3, "log": "x"}');

  const log = aLog(memory);

  assert.deepEqual(log.pending, []);
  assert.match(log.clientId, /^client-\d+-of-test$/);
});

/** All that is settled by now. */
const answered = () => new Promise((resolve) => setImmediate(resolve));

test("events of one task are sent together, again until the answer, and then never", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const log = aLog();
  /** @type {any[]} */
  const sent = [];
  const sender = new Sender(log, async (value) => (sent.push(value), null), () => {}, () => 0);
  log.append("clear", 4);
  sender.grew();
  log.append("undo", 4);
  sender.grew();

  await answered();
  assert.deepEqual(sent.map((value) => value.log.length), [2]);

  t.mock.timers.tick(1000);
  await answered();
  t.mock.timers.tick(1500);
  await answered();
  assert.equal(sent.length, 3);

  sender.answered(log.acknowledge({ client_id: log.clientId, seq: 2 }));
  t.mock.timers.tick(60_000);
  await answered();
  assert.equal(sent.length, 3);
});

test("an answer that could not be worked in leaves the log as it is, and that is sent again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const told = t.mock.method(console, "error", () => {});
  const log = aLog();
  let nSent = 0;
  const onAnswer = (/** @type {any} */ answer) => {
    if (nSent === 1) throw new Error("a fault of the page");
    sender.answered(log.acknowledge(answer.acknowledged));
  };
  const answer = /** @type {any} */ ({ acknowledged: { client_id: log.clientId, seq: 1 } });
  const sender = new Sender(log, async () => ((nSent += 1), answer), onAnswer, () => 0);
  log.append("clear", 4);
  sender.grew();
  await answered();
  assert.deepEqual([nSent, log.pending.length, told.mock.callCount()], [1, 1, 1]);

  t.mock.timers.tick(1000);
  await answered();
  assert.deepEqual([nSent, log.pending.length], [2, 0]);
  sender.stop();
});

test("a request that has no answer yet is not overtaken by another, and a page that is gone takes none", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const log = aLog();
  /** @type {((answer: any) => void)[]} */
  const open = [];
  let nAnswers = 0;
  const sender = new Sender(log, () => new Promise((resolve) => open.push(resolve)), () => (nAnswers += 1));
  log.append("clear", 4);
  sender.grew();
  await answered();
  t.mock.timers.tick(60_000);
  sender.poke();
  await answered();
  assert.equal(open.length, 1);

  sender.stop();
  open[0]({ acknowledged: { client_id: log.clientId, seq: 1 } });
  await answered();

  assert.equal(nAnswers, 0);
});

test("one request is under way at a time; what happens meanwhile travels with the next", async () => {
  const log = aLog();
  /** @type {any[]} */
  const sent = [];
  const sender = new Sender(
    log,
    (batch) => new Promise((resolve) => sent.push({ seqs: batch.log.map(({ seq }) => seq), resolve })),
    (answer) => sender.answered(log.acknowledge(answer.acknowledged)),
  );
  const grow = async () => {
    log.append("clear", 4);
    sender.grew();
    await Promise.resolve();
  };
  const answer = async (/** @type {any} */ request, /** @type {number} */ seq) => {
    request.resolve({ acknowledged: { client_id: log.clientId, seq } });
    await new Promise((resolve) => setTimeout(resolve));
  };
  for (let n = 0; n < 3; n += 1) await grow();
  assert.deepEqual(sent.map(({ seqs }) => seqs), [[1]]);

  await answer(sent[0], 1);
  assert.deepEqual(sent.map(({ seqs }) => seqs), [[1], [2, 3]]);
  await answer(sent[1], 3);

  assert.deepEqual([sent.length, log.pending.length, sender.silenceMs()], [2, 0, 0]);
  sender.stop();
});

test("what a reload found is sent with the first news from the server", () => {
  const memory = new Memory();
  aLog(memory).append("clear", 4);
  /** @type {any[]} */
  const sent = [];
  const sender = new Sender(aLog(memory), async (value) => (sent.push(value), null), () => {});

  sender.answered(0);
  sender.stop();

  assert.equal(sent.length, 1);
});

test("waiting grows to five seconds, a better connection does not wait", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const log = aLog();
  let sent = 0;
  const sender = new Sender(log, async () => ((sent += 1), null), () => {});
  const pass = async (/** @type {number} */ ms) => {
    t.mock.timers.tick(ms);
    await answered();
  };
  log.append("clear", 4);
  sender.poke();
  await answered();
  for (let k = 0; k < 20; k += 1) await pass(5000);
  const before = sent;

  await pass(4999);
  assert.equal(sent, before);
  sender.poke();
  await answered();

  assert.equal(sent, before + 1);
});

test("a name held by another tab is refused, a free one is taken", async () => {
  const held = new Set(["taken"]);
  /** @type {any} */
  const locks = {
    request: (name, { signal }, hold) =>
      held.has(name)
        ? new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))))
        : hold(),
  };

  assert.equal(await claim("taken", { locks }, 20), false);
  assert.equal(await claim("free", { locks }, 20), true);
});
