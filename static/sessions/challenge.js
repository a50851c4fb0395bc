// @ts-check
/**
 * Has the server write a text to sign, and checks what it names before anybody is shown it.
 *
 * The module touches no DOM and keeps no state.
 */
import { addressOf, same } from "./accounts.js";
import { request } from "./http.js";

/**
 * @typedef {{account: string, address: string, message: string, challenge: string, deadline: number,
 *            spent: boolean, request: string}} Challenge
 *   `address` is spelt as the text spells it, `deadline` is a time of the monotonic clock, `request` what is
 *   confirmed with it, if it is no sign-in.
 */

const DEFAULT_LIFETIME_MS = 300_000;

/** The server's text names another site or another account than the page: nobody may be asked to sign it. */
export class StrangeText extends Error {
  /** @param {"domain" | "account"} wrong */
  constructor(wrong) {
    super(`The text names another ${wrong}.`);
    this.name = "StrangeText";
    this.wrong = wrong;
  }
}

/**
 * @param {string} url
 * @param {{account?: string, request?: string, purpose?: string, session_type?: string}} body what the server is asked for
 * @param {{account: string, host: string, signal: AbortSignal}} expected who signs (CAIP-10), and where
 * @returns {Promise<Challenge>}
 * @throws {import("./http.js").HttpError | StrangeText}
 */
export async function ask(url, body, { account, host, signal }) {
  const asked = performance.now();
  const answer = await request(url, { method: "POST", json: body, signal });
  signal.throwIfAborted();
  const { domain, address, issuedAt } = readHeader(String(answer.message));
  if (domain !== host) throw new StrangeText("domain");
  if (!same(address, addressOf(account)) || !same(String(answer.account), account)) throw new StrangeText("account");
  // The server's two times give a span; this computer's clock may be years off.
  const span = Date.parse(answer.expires_at) - issuedAt;
  return {
    account: answer.account,
    address,
    message: answer.message,
    challenge: answer.challenge,
    deadline: asked + (span > 0 ? span : DEFAULT_LIFETIME_MS),
    spent: false,
    request: body.request ?? "",
  };
}

/**
 * What the page checks of the server's text before it shows it: who asks, and for which address. All chains have these
 * lines in the same places (EIP-4361, CAIP-122).
 * @param {string} text @returns {{domain: string, address: string, issuedAt: number}}
 */
export function readHeader(text) {
  const [first = "", address = ""] = text.split("\n", 2);
  const domain = first.split(" ", 1)[0].replace(/^[a-z][a-z0-9+.-]*:\/\//i, "");
  const issued = text.split("\n").find((line) => line.startsWith("Issued At: "));
  return { domain, address, issuedAt: issued ? Date.parse(issued.slice(11)) : NaN };
}
