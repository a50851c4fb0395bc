// @ts-check
/**
 * What the user has written into the fields of a page and not sent. Hidden fields, buttons and chosen files are no
 * writing. Passwords, and what is in an element with `data-forget-unsent`, are forgotten when the session ends. An editor
 * that is no form field sets `data-unsent` on itself while it holds something.
 */

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Field */

const NOT_WRITTEN = new Set(["hidden", "file", "submit", "button", "image", "reset"]);
/** They always have a value, also one that the page did not set. */
const NEVER_EMPTY = new Set(["range", "color"]);
const FORGOTTEN = "[data-forget-unsent], [data-forget-unsent] *";

/** Whether the page holds something that the user would miss. */
export function hasUnsent() {
  if (document.querySelector(`[data-unsent]:not(${FORGOTTEN})`)) return true;
  return fields().some((field) => written(field) && !goes(field));
}

/** Set back the fields that must not wait for the next sign-in. @returns {boolean} whether a password was among them */
export function forget() {
  const forgotten = fields().filter((field) => written(field) && goes(field));
  for (const field of forgotten) setBack(field);
  return forgotten.some(({ type }) => type === "password");
}

/** @returns {Field[]} */
function fields() {
  return Array.from(/** @type {NodeListOf<Field>} */ (document.querySelectorAll("input, textarea, select")));
}

/** @param {Field} field */
function goes(field) {
  return field.type === "password" || field.matches(FORGOTTEN);
}

/** @param {Field} field */
function written(field) {
  if (NOT_WRITTEN.has(field.type) || field.disabled) return false;
  if (field instanceof HTMLSelectElement) return Array.from(field.options).some((option) => option.selected !== preset(field, option));
  if (field.readOnly) return false;
  if (field.type === "checkbox" || field.type === "radio") {
    const box = /** @type {HTMLInputElement} */ (field);
    return box.checked !== box.defaultChecked;
  }
  if (NEVER_EMPTY.has(field.type) && !field.defaultValue) return false;
  return field.value !== field.defaultValue;
}

/** @param {Field} field */
function setBack(field) {
  if (field instanceof HTMLSelectElement) {
    for (const option of field.options) option.selected = preset(field, option);
  } else if (field instanceof HTMLInputElement && (field.type === "checkbox" || field.type === "radio")) {
    field.checked = field.defaultChecked;
  } else {
    field.value = field.defaultValue;
  }
}

/** Whether an option was chosen when the page came. @param {HTMLSelectElement} field @param {HTMLOptionElement} option */
function preset(field, option) {
  const options = Array.from(field.options);
  // A list with one choice begins at its first option that can be chosen, unless the page named another.
  if (field.type === "select-one" && !options.some(({ defaultSelected }) => defaultSelected)) {
    return option === options.find(({ disabled }) => !disabled);
  }
  return option.defaultSelected;
}
