// @ts-check
import { button, h, onArrows, say } from "./dom.js";
import { counted } from "./messages.js";

/** @typedef {import("../types.js").ClassLabel} ClassLabel */
/** @typedef {import("./popover.js").Popovers} Popovers */

const BACKGROUND_HELP = "What is no object: not tinted, and no shape in exports. A project has one background or none.";

/**
 * @param {readonly ClassLabel[]} classes
 * @param {readonly string[]} offered colours that the server says no class had when the page was drawn
 * @returns {string} the first of them nobody has taken since
 */
export function freshColour(classes, offered) {
  const used = new Set(classes.map((label) => label.colour.toLowerCase()));
  return (offered.find((colour) => !used.has(colour.toLowerCase())) ?? "#888888").toLowerCase();
}

/**
 * @typedef {object} ClassActions
 * @property {(classId: number) => void} onChoose
 * @property {(name: string, colour: string) => void} onAdd
 * @property {(classId: number, name: string, colour: string) => void} onEdit
 * @property {(classId: number | null) => void} onBackground null: no class is the background
 * @property {(classId: number) => void} onRemove
 * @property {() => void} onLeave the class is chosen: back to the picture
 */

/** The classes: choose one by a click, change them on the spot. */
export class ClassBar {
  /**
   * @param {ClassActions} actions
   * @param {Popovers} popovers
   * @param {{tells: boolean, maxClasses: number, nameChars: number}} options tells: each class has a line of its own for
   *   what was counted; nameChars: longest name
   */
  constructor(actions, popovers, { tells, maxClasses, nameChars }) {
    this.maxClasses = maxClasses;
    this.nameChars = nameChars;
    this.tells = tells;
    this.actions = actions;
    this.popovers = popovers;
    this.list = h("div", { class: "list", role: "radiogroup", "aria-label": "Classes" });
    this.add = button("Add a class", "plus", () => this.#form(this.add, null), { text: "Add class", class: "add" });
    this.heading = h("div", { class: "heading" }, "Classes");
    onArrows(this.list, "[role=\"radio\"]", { onStep: (step) => this.#step(step), onChoose: () => this.#choose() });
    this.element = h("div", { class: tells ? "classes telling" : "classes" }, this.heading, this.list, this.add);
    /** @type {Map<number, ReturnType<ClassBar["makeRow"]>>} */
    this.rows = new Map();
    /** @type {readonly ClassLabel[]} */
    this.classes = [];
    /** @type {readonly string[]} */
    this.offered = [];
    /** Points per class over the project. @type {Map<number, number>} */
    this.totals = new Map();
    this.current = -1;
    /** The class that Tab leads to: the current one, unless arrows moved on. */
    this.reached = -1;
  }

  /**
   * @param {readonly ClassLabel[]} classes
   * @param {number} current
   * @param {Map<number, number>} counts
   * @param {boolean} isOpen classes can be changed while an image is shown
   * @param {readonly string[]} offered colours of the palette that no class has, in order
   * @param {(label: ClassLabel, place: number) => {text: string, title: string}} [tell] what was counted of a class
   */
  update(classes, current, counts, isOpen, offered, tell) {
    this.classes = classes;
    this.totals = counts;
    this.offered = offered;
    const ids = new Set(classes.map((label) => label.id));
    const isSame = ids.size === this.rows.size && classes.every((label) => this.rows.has(label.id));
    for (const [id, row] of this.rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.rows.delete(id);
    }
    classes.forEach((label, place) => {
      let row = this.rows.get(label.id);
      if (!row) {
        row = this.makeRow(label.id);
        this.rows.set(label.id, row);
      }
      if (this.list.children[place] !== row.element) {
        this.list.insertBefore(row.element, this.list.children[place] ?? null);
      }
      const n = counts.get(label.id) ?? label.n_points;
      row.chip.style.background = label.colour;
      if (row.name.textContent !== label.name) row.edit.setAttribute("aria-label", `Rename, recolour or remove ${label.name}`);
      say(row.name, label.name);
      say(row.count, this.tells ? "" : String(n));
      say(row.key, String(place + 1));
      const role = label.is_background ? " (background)" : "";
      row.radio.title = `${label.name}${role}: ${counted(n, "point")}. Key ${place < 9 ? place + 1 : `g ${place + 1}`}`;
      if (tell) {
        const { text, title } = tell(label, place);
        say(row.tally, text);
        row.radio.title = `${label.name}${role}: ${title}. Key ${place < 9 ? place + 1 : `g ${place + 1}`}`;
      }
      row.radio.setAttribute("aria-checked", String(label.id === current));
    });
    this.add.disabled = !isOpen || classes.length >= this.maxClasses;
    this.element.classList.toggle("fixed", !isOpen);
    const isOther = current !== this.current;
    if (isOther || !isSame) this.#reach(isOther ? current : this.reached);
    if (isOther) this.rows.get(current)?.element.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.current = current;
  }

  /** @param {number} classId */
  makeRow(classId) {
    const chip = h("span", { class: "chip" });
    const name = h("span", { class: "name" });
    const count = h("span", { class: "count" });
    const tally = h("span", { class: "tally" });
    const key = h("kbd");
    const edit = button("Rename, recolour or remove", "edit", () => this.#form(edit, classId), { class: "small edit" });
    const radio = h(
      "div",
      {
        class: "class",
        role: "radio",
        tabindex: "-1",
        "data-class": classId,
        click: () => this.actions.onChoose(classId),
        mousedown: (/** @type {MouseEvent} */ event) => event.preventDefault(),
        dblclick: () => this.#form(edit, classId),
      },
      key,
      chip,
      name,
      count,
      ...(this.tells ? [tally] : []),
    );
    const element = h("div", { class: "choice" }, radio, edit);
    return { element, radio, edit, chip, name, count, tally, key };
  }

  /** To the next class or the one before: an arrow alone answers nothing that is asked. @param {number} step */
  #step(step) {
    const at = this.classes.findIndex((label) => label.id === this.reached);
    const next = this.classes[Math.min(this.classes.length - 1, Math.max(0, at + step))];
    if (!next) return;
    this.#reach(next.id);
    this.rows.get(next.id)?.radio.focus();
  }

  #choose() {
    this.actions.onChoose(this.reached);
    this.actions.onLeave();
  }

  /** Tab leads to this class and to what changes it; to the first one where there is no such class. @param {number} classId */
  #reach(classId) {
    this.reached = this.rows.has(classId) ? classId : (this.classes[0]?.id ?? -1);
    for (const [id, { radio, edit }] of this.rows) {
      for (const part of [radio, edit]) part.setAttribute("tabindex", id === this.reached ? "0" : "-1");
    }
  }

  /** @param {Element} anchor @param {number | null} classId null for a new class */
  #form(anchor, classId) {
    if (this.element.classList.contains("fixed")) return;
    const label = this.classes.find((candidate) => candidate.id === classId);
    const name = h("input", { type: "text", class: "text", maxlength: this.nameChars, placeholder: "Name", "aria-label": "Name", autofocus: true });
    const colour = h("input", { type: "color", "aria-label": "Colour", title: "Colour" });
    name.value = label?.name ?? "";
    colour.value = label?.colour ?? freshColour(this.classes, this.offered);
    const background = h("input", { type: "checkbox" });
    background.checked = label?.is_background ?? false;
    background.disabled = this.tells && background.checked; // counting needs one: another class takes its place
    const problem = h("p", { class: "problem" });
    const save = () => {
      const text = name.value.trim();
      const taken = this.classes.some((other) => other.id !== classId && other.name.toLowerCase() === text.toLowerCase());
      if (!text || taken) {
        problem.textContent = text ? `There is a class ${text} already.` : "Type a name.";
        return;
      }
      this.popovers.close();
      if (!label) this.actions.onAdd(text, colour.value);
      else if (text !== label.name || colour.value.toLowerCase() !== label.colour.toLowerCase()) {
        this.actions.onEdit(label.id, text, colour.value);
      }
      if (label && background.checked !== label.is_background) this.actions.onBackground(background.checked ? label.id : null);
    };
    name.addEventListener("keydown", (event) => {
      if (event.key === "Enter") save();
    });
    const swatch = (/** @type {string} */ value) => {
      const choose = () => (colour.value = value);
      const title = `Colour ${value}`;
      return h("button", { type: "button", class: "swatch", style: `background:${value}`, title, "aria-label": title, click: choose });
    };
    const panel = h(
      "div",
      { class: "form" },
      h("div", { class: "row" }, colour, name),
      h("div", { class: "row swatches" }, ...this.offered.map(swatch)),
      label ? h("label", { class: "check", title: BACKGROUND_HELP }, background, h("span", {}, "This is the background")) : null,
      problem,
      h(
        "div",
        { class: "row end" },
        label ? h("button", { type: "button", class: "button text danger", click: () => this.#askRemove(anchor, label) }, "Remove") : null,
        h("span", { class: "gap" }),
        h("button", { type: "button", class: "button text", click: () => this.popovers.close() }, "Cancel"),
        h("button", { type: "button", class: "button text primary", click: save }, label ? "Save" : "Add"),
      ),
    );
    const about = () => (classId === null ? this.classes.length : this.#described(classId));
    this.popovers.toggle(anchor, panel, { label: label ? `Class ${label.name}` : "New class", about });
    name.select();
  }

  /** @param {Element} anchor @param {ClassLabel} label */
  #askRemove(anchor, label) {
    this.popovers.close();
    const n = this.totals.get(label.id) ?? label.n_points;
    const points = n ? ` Its ${counted(n, "point")} will no longer be used.` : "";
    const remove = { text: "Remove", class: "danger", act: () => this.actions.onRemove(label.id) };
    this.popovers.ask(anchor, `Remove class ${label.name}?${points}`, [remove], () => [this.#described(label.id), this.totals.get(label.id)]);
  }

  /** What a question about a class says of it. @param {number} classId */
  #described(classId) {
    const label = this.classes.find((candidate) => candidate.id === classId);
    return label ? [label.name, label.colour] : null;
  }
}
