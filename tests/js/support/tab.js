// @ts-nocheck
import { settled } from "./dom.js";

/** What a tab keeps over a reload. */
export class Memory {
  values = new Map();
  getItem(name) {
    return this.values.get(name) ?? null;
  }
  setItem(name, value) {
    this.values.set(name, value);
  }
}

/** A server that answers when it is let. */
export class Server {
  sent = [];
  waiting = [];
  isReachable = true;

  send = (batch) => {
    this.sent.push(batch);
    if (!this.isReachable) return Promise.resolve(null);
    return new Promise((resolve) => this.waiting.push({ batch, resolve }));
  };

  async answer(refused = []) {
    for (const { batch, resolve } of this.waiting.splice(0)) {
      resolve({ acknowledged: { client_id: batch.client_id, seq: batch.log.at(-1).seq }, refused });
    }
    await settled();
  }
}
