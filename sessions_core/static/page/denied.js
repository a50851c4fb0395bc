// @ts-check
/**
 * A dialog that says what the user lacks for something that a script of the page has asked the server, and how to get it.
 * The server writes the words: they are those of /unauthorized. A script opens it with the error of the answer, which has
 * the code `permission_denied`:
 *
 *     document.dispatchEvent(new CustomEvent("permission-denied", { detail: error }));
 *
 * The module is loaded by that event: most pages never need it.
 */
import { copy, part } from "./parts.js";

const KINDS = new Set(["permission", "role", "session_type"]);
/** How long to wait for the server's words before the dialog says the little that it knows itself. */
const PATIENCE_MS = 10_000;

/** One at a time: the user still reads what the first refusal was. */
let busy = false;

/** @param {{kind?: unknown, missing?: unknown} | null} refusal the error of the answer */
export async function showDenied(refusal) {
  const root = /** @type {HTMLElement | null} */ (document.querySelector("session-timeout"));
  // None while the page waits for the next sign-in.
  if (busy || !root) return;
  busy = true;
  const dialog = /** @type {HTMLDialogElement} */ (copy(root, "denied"));
  const page = await load(addressFor(root.dataset, refusal));
  const panel = page?.querySelector("[data-part=denial]");
  if (page && panel) {
    await adoptScripts(page);
    fill(dialog, document.importNode(panel, true));
  }
  part(dialog, "close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    busy = false;
  });
  document.body.append(dialog);
  dialog.showModal();
  dialog.focus();
}

/** @param {DOMStringMap} settings @param {{kind?: unknown, missing?: unknown} | null} refusal */
function addressFor({ unauthorizedUrl = "", returnTo }, refusal) {
  const url = new URL(unauthorizedUrl, location.href);
  /** @type {{kind?: unknown, missing?: unknown}} */
  const { kind, missing } = refusal ?? {};
  if (typeof kind === "string" && KINDS.has(kind)) url.searchParams.set(kind, String(missing));
  url.searchParams.set("next", returnTo ?? location.pathname + location.search);
  return url;
}

/**
 * Not by fetch: under Trusted Types only a request of this kind makes a document of an answer.
 * @param {URL} url of this site
 * @returns {Promise<Document | null>} null where nobody answers
 */
function load(url) {
  return new Promise((resolve) => {
    const asking = new XMLHttpRequest();
    asking.open("GET", url);
    asking.responseType = "document";
    asking.timeout = PATIENCE_MS;
    asking.onloadend = () => resolve(asking.responseXML);
    asking.send();
  });
}

/** The modules that the elements in the words need. Those that this page has do nothing again. @param {Document} page */
function adoptScripts(page) {
  const scripts = /** @type {NodeListOf<HTMLScriptElement>} */ (page.querySelectorAll("script[type=module][src]"));
  return Promise.allSettled(Array.from(scripts, ({ src }) => import(src)));
}

/** @param {HTMLDialogElement} dialog @param {Element} panel */
function fill(dialog, panel) {
  const [words, title, actions] = [part(dialog, "words"), part(dialog, "title"), part(dialog, "actions")];
  title.textContent = panel.querySelector("h1")?.textContent ?? "";
  for (const link of panel.querySelectorAll("a[data-leads-back]")) link.remove();
  // What is written on this page stays.
  for (const link of panel.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener";
  }
  const [own] = panel.querySelectorAll(".actions");
  actions.prepend(...(own?.children ?? []));
  own?.remove();
  panel.querySelector("h1")?.remove();
  words.replaceChildren(...panel.children);
  part(dialog, "tabs").hidden = !actions.querySelector("a");
}
