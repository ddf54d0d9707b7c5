// @ts-check
/** What the shell of the pages reads: "light", "dark", or nothing, which means as the system. */
const KEY = "fcnlab.theme";

/**
 * The choice of a theme. It holds at once, in all tabs, and is remembered by the browser; the server hears nothing of it.
 * @param {{parentElement: ParentNode}} component
 */
export default function draw({ parentElement }) {
  const radios = /** @type {NodeListOf<HTMLInputElement>} */ (parentElement.querySelectorAll("input[type=radio]"));
  const chosen = remembered();
  for (const radio of radios) {
    radio.checked = radio.value === chosen;
    radio.onchange = () => choose(radio.value);
  }
}

/** @returns {string} */
function remembered() {
  try {
    return localStorage.getItem(KEY) ?? "system";
  } catch {
    return "system";
  }
}

/** @param {string} theme */
function choose(theme) {
  try {
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    return; // forbidden: it stays as the system
  }
  window.dispatchEvent(new Event("fcnlab-theme"));
}
