// @ts-check
/**
 * localStorage and sessionStorage, which a browser may have switched off or filled up: then nothing is found in them, and
 * what is written is lost.
 *
 * The module touches no DOM and keeps no state.
 */

/** @typedef {"localStorage" | "sessionStorage"} StorageName */

/** @param {StorageName} storage @param {string} key @returns {string | null} */
export function readStored(storage, key) {
  try {
    return globalThis[storage].getItem(key);
  } catch {
    return null;
  }
}

/** @param {StorageName} storage @param {string} key @param {string} value */
export function writeStored(storage, key, value) {
  try {
    globalThis[storage].setItem(key, value);
  } catch {
    // The caller does without on the next page.
  }
}
