// @ts-check
/**
 * Accounts (CAIP-10) and chains (CAIP-2) as the page handles them: taken apart, compared, shortened. Whether one is
 * valid is the server's to say.
 *
 * The module touches no DOM and keeps no state.
 */

/** @param {string} id an account or a chain @returns {string} */
export function namespaceOf(id) {
  return id.split(":", 1)[0];
}

/** @param {string} account @returns {string} its chain, CAIP-2 */
export function chainOf(account) {
  return account.split(":", 2).join(":");
}

/** @param {string} chain CAIP-2 @returns {string} */
export function referenceOf(chain) {
  return chain.slice(chain.indexOf(":") + 1);
}

/** @param {string} account @returns {string} */
export function addressOf(account) {
  return account.slice(account.lastIndexOf(":") + 1);
}

/** CAIP-10. @param {string} chain @param {string} address */
export function accountId(chain, address) {
  return `${chain}:${address}`;
}

/**
 * Works for addresses and whole accounts. Only those of Ethereum have several spellings (ERC-55): in Base58, another
 * case is another address.
 * @param {string} one @param {string} other
 */
export function same(one, other) {
  return spelling(one) === spelling(other);
}

/** @param {string} text */
function spelling(text) {
  return /^(eip155:\d+:)?0x[0-9a-f]{40}$/i.test(text) ? text.toLowerCase() : text;
}

/** @param {string} address */
export function shorten(address) {
  return `${address.slice(0, 6)}…${address.slice(-4)}`;
}
