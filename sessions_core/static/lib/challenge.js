// @ts-check
/**
 * Has the server write a text to sign, and checks all of it that the page knows before anybody is shown it.
 *
 * The module touches no DOM and keeps no state.
 */
import { addressOf, chainOf, referenceOf, same } from "./accounts.js";
import { request } from "./http.js";

/**
 * @typedef {{account: string, address: string, message: string, challenge: string, deadline: number,
 *            spent: boolean, request: string}} Challenge
 *   `address` is spelt as the text spells it, `deadline` is a time of the monotonic clock, `request` what is
 *   confirmed with it, if it is no sign-in.
 */

const DEFAULT_LIFETIME_MS = 300_000;

/**
 * The server's text is not the one that the page asked for: a cache, a proxy or an attack changed it on the way. Nobody
 * may be asked to sign it.
 */
export class UnexpectedMessage extends Error {
  /** @param {string} wrong the field that differs; `domain` and `URI` name the site */
  constructor(wrong) {
    super(`The text has another ${wrong}.`);
    this.name = "UnexpectedMessage";
    this.wrong = wrong;
  }

  /** Whether it names another site than the address bar. */
  get elsewhere() {
    return this.wrong === "domain" || this.wrong === "URI";
  }
}

/**
 * @param {string} url
 * @param {{account?: string, request?: string, purpose?: string, session_type?: string}} body what the server is asked for
 * @param {{account: string, statement: string, signal: AbortSignal, chainWord?: (chain: string) => string}} expected
 *   who signs (CAIP-10), for what, and what the text calls a chain where that is not its reference
 * @returns {Promise<Challenge>}
 * @throws {import("./http.js").HttpError | UnexpectedMessage}
 */
export async function ask(url, body, { account, statement, signal, chainWord }) {
  const asked = performance.now();
  const answer = await request(url, { method: "POST", json: body, signal });
  signal.throwIfAborted();
  const message = String(answer.message);
  if (!same(String(answer.account), account)) throw new UnexpectedMessage("account");
  const { address, issuedAt } = check(message, { account, statement, origin: location.origin, chainWord });
  // The server's two times give a span; this computer's clock may be years off.
  const span = Date.parse(answer.expires_at) - issuedAt;
  return {
    account: answer.account,
    address,
    message,
    challenge: answer.challenge,
    deadline: asked + (span > 0 ? span : DEFAULT_LIFETIME_MS),
    spent: false,
    request: body.request ?? "",
  };
}

const GREETING = /^(?:(https?):\/\/)?([^ /]+) wants you to sign in with your [A-Za-z]+ account:$/;

/**
 * Compares everything in the server's text that the page knows by itself, line by line as EIP-4361 lays it out: all
 * chains have these lines in the same places. What only the server knows is new each time, the nonce and the times.
 * @param {string} text
 * @param {{account: string, statement: string, origin: string, chainWord?: (chain: string) => string}} expected
 * @returns {{address: string, issuedAt: number}}
 * @throws {UnexpectedMessage}
 */
export function check(text, { account, statement, origin, chainWord = referenceOf }) {
  const [greeting, address = "", ...rest] = text.split("\n");
  const [, scheme, domain] = GREETING.exec(greeting) ?? [];
  const site = new URL(origin);
  if (domain !== site.host || (scheme && `${scheme}:` !== site.protocol)) throw new UnexpectedMessage("domain");
  if (!same(address, addressOf(account))) throw new UnexpectedMessage("address");
  const known = [
    ["statement", ""],
    ["statement", statement],
    ["statement", ""],
    ["URI", `URI: ${origin}/`],
    ["version", "Version: 1"],
    ["Chain ID", `Chain ID: ${chainWord(chainOf(account))}`],
  ];
  known.forEach(([name, line], at) => {
    if (rest[at] !== line) throw new UnexpectedMessage(name);
  });
  const [nonce = "", issued = "", ...others] = rest.slice(known.length);
  if (!/^Nonce: [A-Za-z0-9]{8,128}$/.test(nonce)) throw new UnexpectedMessage("nonce");
  if (!/^Issued At: [0-9TZ:.+-]+$/.test(issued)) throw new UnexpectedMessage("time");
  // The server writes neither resources nor anything else that a signature could be made to mean.
  if (!others.every((line) => /^(Expiration Time|Request ID): [\w:.+-]+$/.test(line))) throw new UnexpectedMessage("line");
  return { address, issuedAt: Date.parse(issued.slice(11)) };
}
