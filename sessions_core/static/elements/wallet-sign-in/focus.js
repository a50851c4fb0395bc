// @ts-check
/** Where `<wallet-sign-in>` leads the eye and the focus. */
import { firstShown } from "../../page/parts.js";

/** What the user does next in a state, the first of these that is shown. */
const ACTIONS = [
  "[data-testid='error'] .button--primary", "[data-action='sign']", "[data-part='accounts'] button",
  "[data-part='networks'] button", "[data-action='cancel']", "[data-part='picker'] button", "[data-testid='error'] a",
];

/**
 * What to do next must not be below the fold when a state begins. Where it is yet to come, as wallets are that take their
 * time, the message makes room for it.
 * @param {HTMLElement} panel
 */
export function revealAction(panel) {
  const next = ACTIONS.map((each) => firstShown(panel, each)).find((each) => each !== undefined);
  if (next) next.scrollIntoView({ block: "nearest" });
  else firstShown(panel, "[data-testid='error']")?.scrollIntoView({ block: "start" });
}

/** A message that is there when the page loads is read to nobody unless it has the focus. @param {HTMLElement} panel */
export function focusMessage(panel) {
  const message = firstShown(panel, "[data-focus]") ?? firstShown(panel, "[data-testid='error']");
  if (message && !message.hasAttribute("tabindex")) message.tabIndex = -1;
  message?.focus();
  revealAction(panel);
}

/** Whether what had the focus can't have it any more. @param {Element | null} focused */
export function isLost(focused) {
  return focused === null || focused === document.body || !focused.isConnected
    || focused.closest("[hidden]") !== null || (focused instanceof HTMLButtonElement && focused.disabled);
}
