// @ts-check
/**
 * What the page shows, in one place: parts read `state`, and are told when something changed that they named.
 * @template {object} State
 */
export class Store {
  /** @param {State} state */
  constructor(state) {
    this.state = state;
  }

  /** @type {Set<{keys: readonly (keyof State)[], listener: (state: State) => void}>} */
  #subscriptions = new Set();
  /** Keys that were changed and not told yet. @type {Set<keyof State>} */
  #changed = new Set();
  #isTelling = false;

  /**
   * Change part of the state. Whoever named it is told before this returns; what a listener changes is told after all
   * others know of the change before it.
   * @param {Partial<State>} change
   */
  set(change) {
    for (const key of /** @type {(keyof State)[]} */ (Object.keys(change))) {
      if (!Object.is(change[key], this.state[key])) this.#changed.add(key);
    }
    this.state = { ...this.state, ...change };
    if (!this.#isTelling) this.#tell();
  }

  /**
   * @param {readonly (keyof State)[]} keys
   * @param {(state: State) => void} listener called after any of them changed, in the order of subscription
   * @returns {() => void} ends the subscription
   */
  subscribe(keys, listener) {
    const subscription = { keys, listener };
    this.#subscriptions.add(subscription);
    return () => void this.#subscriptions.delete(subscription);
  }

  #tell() {
    this.#isTelling = true;
    try {
      while (this.#changed.size > 0) {
        const changed = this.#changed;
        this.#changed = new Set();
        for (const { keys, listener } of this.#subscriptions) if (keys.some((key) => changed.has(key))) listener(this.state);
      }
    } finally {
      this.#isTelling = false;
    }
  }
}

/**
 * The same function, which works its result out anew only when one of its arguments is another one.
 * @template {unknown[]} Arguments
 * @template Result
 * @param {(...values: Arguments) => Result} compute
 * @returns {(...values: Arguments) => Result}
 */
export function memoized(compute) {
  /** @type {{values: Arguments, result: Result} | null} */
  let last = null;
  return (...values) => {
    if (!last || !values.every((value, k) => Object.is(value, last?.values[k]))) last = { values, result: compute(...values) };
    return last.result;
  };
}
