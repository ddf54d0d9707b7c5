// @ts-check
/** @typedef {import("../state/page.js").ToolName} ToolName */
/** @typedef {import("./tool.js").Tool} Tool */

/** The tools of the page, one of which is chosen. */
export class Toolbox {
  /** @param {import("../state/page.js").PageStore} store */
  constructor(store) {
    this.store = store;
    /** @type {Partial<Record<ToolName, Tool>>} */
    this.tools = {};
  }

  /** @returns {Tool} */
  get current() {
    return /** @type {Tool} */ (this.tools[this.store.state.tool] ?? this.tools.points);
  }

  /** @param {ToolName} name */
  choose(name) {
    if (name === this.store.state.tool) return;
    const before = this.current;
    this.store.set({ tool: name });
    before.onLeave();
    this.current.onEnter();
  }

  /** @param {ToolName} name chosen already: it is put away */
  toggle(name) {
    this.choose(this.store.state.tool === name ? "points" : name);
  }

  /** What a key means to the chosen tool, or to that of the points. @param {import("./keys.js").Action} action */
  onKey(action) {
    const { current, tools } = this;
    return current.onKey(action) || (current !== tools.points && tools.points?.onKey(action) === true);
  }
}
