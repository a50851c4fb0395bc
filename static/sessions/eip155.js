// @ts-check
/**
 * Talks to an Ethereum wallet (EIP-1193): connect, network, sign; and turns the many ways in which
 * wallets say "no" into one word. Answers of wallets are hostile input and are checked here.
 *
 * The module touches no DOM and keeps no state.
 */

/** @typedef {import("./wallets.js").Provider} Provider */
/**
 * @typedef {"rejected" | "pending" | "locked" | "unknown_chain" | "unsupported" | "disconnected"
 *           | "malformed" | "failed"} Kind
 */

export const NAMESPACE = "eip155";
const MAX_ACCOUNTS = 20;

/** What a wallet answered instead of what it was asked for. */
export class WalletError extends Error {
  /** @param {Kind} kind @param {string | number | undefined} code @param {string} detail */
  constructor(kind, code, detail) {
    super(detail);
    this.name = "WalletError";
    this.kind = kind;
    this.code = code;
  }
}

/** @type {Map<unknown, Kind>} */
const KINDS = new Map(
  /** @type {[unknown, Kind][]} */ ([
    [4001, "rejected"],
    ["ACTION_REJECTED", "rejected"],
    [-32002, "pending"],
    [4100, "locked"],
    [4902, "unknown_chain"],
    [4200, "unsupported"],
    [-32601, "unsupported"],
    [-32004, "unsupported"],
    [4900, "disconnected"],
    [4901, "disconnected"],
  ]),
);

/** Some wallets send codes as text. @param {unknown} value */
function plainCode(value) {
  if (typeof value === "string" && /^-?\d{1,6}$/.test(value)) return Number(value);
  return typeof value === "number" || typeof value === "string" ? value : undefined;
}

/**
 * The one mapper of the family.
 * @param {any} error @returns {WalletError}
 */
export function explain(error) {
  if (error instanceof WalletError) return error;
  let code;
  let detail = "";
  try {
    const inner = plainCode(error?.data?.originalError?.code);
    code = plainCode(error?.code ?? error?.error?.code ?? error?.data?.originalError?.code);
    // MetaMask mobile hides "unknown chain" inside an internal error.
    if (code === -32603 && KINDS.has(inner)) code = inner;
    detail = String(error?.message ?? error?.error?.message ?? (typeof error === "string" ? error : ""));
  } catch {
    // A getter of the error threw.
  }
  return new WalletError(KINDS.get(code) ?? "failed", code, detail);
}

/** @param {Provider} provider @param {string} method @param {unknown[]} [params] */
async function ask(provider, method, params) {
  try {
    return await provider.request(params ? { method, params } : { method });
  } catch (error) {
    throw explain(error);
  }
}

/** @param {string} method @param {unknown} answer */
function malformed(method, answer) {
  return new WalletError("malformed", method, `Unexpected answer to ${method}: ${typeof answer}`);
}

/** @param {unknown} answer @param {string} method @returns {string[]} */
function readAccounts(answer, method) {
  if (!Array.isArray(answer)) throw malformed(method, answer);
  const seen = new Map();
  for (const address of answer.slice(0, MAX_ACCOUNTS)) {
    if (typeof address !== "string" || !/^0x[0-9a-f]{40}$/i.test(address)) {
      throw malformed(method, address);
    }
    const key = address.toLowerCase();
    if (!seen.has(key)) seen.set(key, address);
  }
  return Array.from(seen.values());
}

/** @param {unknown} answer @returns {string | null} */
function readChain(answer) {
  let id;
  try {
    // The standard says "0x1"; older wallets say "1" or 1.
    if (typeof answer === "number" && Number.isSafeInteger(answer)) id = BigInt(answer);
    if (typeof answer === "string" && /^(0x[0-9a-f]{1,64}|\d{1,78})$/i.test(answer)) id = BigInt(answer);
  } catch {
    return null;
  }
  return id === undefined || id <= 0n ? null : `${NAMESPACE}:${id}`;
}

/**
 * Asks the person to connect. May open a window of the wallet.
 * @param {Provider} provider @returns {Promise<string[]>}
 */
export async function connect(provider) {
  return readAccounts(await ask(provider, "eth_requestAccounts"), "eth_requestAccounts");
}

/** The accounts that are connected already; asks nobody. @param {Provider} provider */
export async function accounts(provider) {
  return readAccounts(await ask(provider, "eth_accounts"), "eth_accounts");
}

/** The network that the wallet is on, as CAIP-2. @param {Provider} provider */
export async function chain(provider) {
  const answer = await ask(provider, "eth_chainId");
  const id = readChain(answer);
  if (!id) throw malformed("eth_chainId", answer);
  return id;
}

/**
 * Asks the person to change the network.
 * @param {Provider} provider @param {string} chainId as CAIP-2
 */
export async function switchChain(provider, chainId) {
  const hex = `0x${BigInt(chainId.slice(NAMESPACE.length + 1)).toString(16)}`;
  await ask(provider, "wallet_switchEthereumChain", [{ chainId: hex }]);
}

/**
 * Asks the person to sign a text (ERC-191). The text goes as hex of its UTF-8 bytes: wallets differ
 * in what they make of a plain string that looks like hex.
 * @param {Provider} provider @param {string} text @param {string} address
 * @returns {Promise<string>}
 */
export async function sign(provider, text, address) {
  const hex = Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, "0"));
  const answer = await ask(provider, "personal_sign", [`0x${hex.join("")}`, address]);
  // The server judges the signature; here only what could never be one is stopped.
  if (typeof answer !== "string" || !/^0x[0-9a-f]{2,8192}$/i.test(answer)) {
    throw malformed("personal_sign", answer);
  }
  return answer;
}

/**
 * Reports account and network changes until the returned function is called.
 * @param {Provider} provider
 * @param {{accounts: (list: string[]) => void, chain: (chainId: string | null) => void}} report
 * @returns {() => void}
 */
export function watch(provider, report) {
  /** @param {unknown} answer */
  const onAccounts = (answer) => {
    try {
      report.accounts(readAccounts(answer, "accountsChanged"));
    } catch {
      // An event we cannot read tells us nothing.
    }
  };
  /** @param {unknown} answer */
  const onChain = (answer) => report.chain(readChain(answer));
  try {
    provider.on?.("accountsChanged", onAccounts);
    provider.on?.("chainChanged", onChain);
  } catch {
    // No events: the account is read once more before signing.
  }
  return () => {
    try {
      provider.removeListener?.("accountsChanged", onAccounts);
      provider.removeListener?.("chainChanged", onChain);
    } catch {
      // Nothing to undo.
    }
  };
}

/** CAIP-10. @param {string} chainId @param {string} address */
export function accountId(chainId, address) {
  return `${chainId}:${address}`;
}

/** @param {string} address */
export function shorten(address) {
  return `${address.slice(0, 6)}…${address.slice(-4)}`;
}

/** @param {string} one @param {string} other */
export function sameAddress(one, other) {
  return one.toLowerCase() === other.toLowerCase();
}

/**
 * A promise of a wallet that can be given up: once the signal fires it rejects at once, and what the
 * wallet answers later goes nowhere.
 * @template T @param {Promise<T>} promise @param {AbortSignal} signal @returns {Promise<T>}
 */
export function abandonable(promise, signal) {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason);
    if (signal.aborted) giveUp();
    signal.addEventListener("abort", giveUp, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  });
}

/**
 * What the page checks of the server's text before it shows it: who asks, and for which address.
 * @param {string} text @returns {{domain: string, address: string, issuedAt: number}}
 */
export function readHeader(text) {
  const [first = "", address = ""] = text.split("\n", 2);
  const domain = first.split(" ", 1)[0].replace(/^[a-z][a-z0-9+.-]*:\/\//i, "");
  const issued = text.split("\n").find((line) => line.startsWith("Issued At: "));
  return { domain, address, issuedAt: issued ? Date.parse(issued.slice(11)) : NaN };
}
