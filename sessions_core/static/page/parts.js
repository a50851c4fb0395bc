// @ts-check
/**
 * What elements do to the server-rendered HTML in them: find its parts (`data-part`), fill its slots (`data-fill`), show
 * what belongs to a state (`data-for`), read its phrases (`<template data-phrase>`), and speak. Each function touches
 * nothing but the element that it is given.
 */

/** @param {Element} root @param {string} name @returns {HTMLElement} */
export function part(root, name) {
  const found = optionalPart(root, name);
  if (!found) throw new Error(`The template has no part "${name}".`);
  return found;
}

/** @param {Element} root @param {string} name @returns {HTMLElement | null} */
export function optionalPart(root, name) {
  return /** @type {HTMLElement | null} */ (root.querySelector(`[data-part="${name}"]`));
}

/** A fresh copy of what a `<template data-part>` holds. @param {Element} root @param {string} name @returns {Element} */
export function copy(root, name) {
  const template = /** @type {HTMLTemplateElement} */ (part(root, name));
  return /** @type {Element} */ (template.content.firstElementChild?.cloneNode(true));
}

/**
 * The words of a `<template data-phrase>`, or "" if there is none; `fillIn` fills what is in braces. A phrase with a number
 * has one template for each form of the plural (`data-plural`): that of `number` is chosen, and `{n}` is the number.
 * @param {Element} root @param {string} name @param {number} [number]
 */
export function phrase(root, name, number) {
  const form = number === undefined ? "" : `[data-plural="${pluralForm(number)}"]`;
  const template = root.querySelector(`template[data-phrase="${name}"]${form}`);
  const words = template instanceof HTMLTemplateElement ? (template.content.textContent ?? "").trim() : "";
  return number === undefined ? words : words.replaceAll("{n}", String(number));
}

/** "one", "few", "other" …, as the language of the page has it. @param {number} number */
function pluralForm(number) {
  return new Intl.PluralRules(document.documentElement.lang).select(number);
}

/** Put a text into every slot of a name. @param {Element} root @param {string} name @param {string} text */
export function fillSlots(root, name, text) {
  for (const slot of root.querySelectorAll(`[data-fill="${name}"]`)) write(slot, text);
}

/**
 * Writing the same words again would have a screen reader read them out again, and wake what watches the page.
 * @param {Element | null} element @param {string} text
 */
export function write(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

/** @param {Element} row @returns {HTMLButtonElement} */
export function button(row) {
  return /** @type {HTMLButtonElement} */ (row.querySelector("button"));
}

/** Set an attribute to "true", or remove it. @param {Element} element @param {string} attribute @param {boolean} on */
export function flag(element, attribute, on) {
  if (on) element.setAttribute(attribute, "true");
  else element.removeAttribute(attribute);
}

/**
 * Show the parts whose `data-for` names one of the words, unless another attribute of theirs (`data-phase`, `data-kind`)
 * names something else than `also` does; hide the others.
 * @param {Element} root @param {string[]} words the state, and what else is said of it
 * @param {Record<string, string>} [also]
 */
export function show(root, words, also = {}) {
  for (const each of root.querySelectorAll("[data-for]")) {
    if (!(each instanceof HTMLElement)) continue;
    const { dataset } = each;
    const fits = Object.entries(also).every(([name, value]) => (dataset[name] ?? value).split(" ").includes(value));
    each.hidden = !(dataset.for ?? "").split(" ").some((word) => words.includes(word)) || !fits;
  }
}

/**
 * The first of the elements that nothing hides.
 * @param {Element} root @param {string} selector @returns {HTMLElement | undefined}
 */
export function firstShown(root, selector) {
  const all = /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(selector));
  return Array.from(all).find((each) => each.closest("[hidden]") === null);
}

/** The text of an element without what is hidden in it. @param {Element} element @returns {string} */
export function shownText(element) {
  let text = "";
  for (const node of element.childNodes) {
    if (node instanceof HTMLElement) text += node.hidden ? "" : shownText(node);
    else text += node.textContent ?? "";
  }
  return text;
}

/**
 * Speak the sentences of the state (`data-say`). The elements that hold them may have come from `hidden`, which not every
 * screen reader tells: so they are put into a live region of their own.
 * @param {Element} root
 */
export function say(root) {
  const sentences = Array.from(root.querySelectorAll("[data-say]"))
    .filter((each) => each instanceof HTMLElement && each.closest("[hidden]") === null)
    .map((each) => shownText(each));
  if (sentences.length) announce(root, sentences.join(" "));
}

/** Speak a sentence through the live region of the element. @param {Element} root @param {string} sentence */
export function announce(root, sentence) {
  write(part(root, "status"), sentence.replace(/\s+/g, " ").trim());
}

/**
 * Show what went wrong in the words of machines: codes of the server or of a wallet, and their messages.
 * @param {Element} root @param {unknown[]} details
 */
export function showTechnical(root, details) {
  const text = details.filter((each) => each !== undefined && each !== "").join(" · ");
  part(root, "technical").hidden = !text;
  fillSlots(root, "technical", text);
}
