// @ts-check
/**
 * Bytes as text. The module touches no DOM and keeps no state.
 */

/** @param {Uint8Array} bytes @returns {string} lower case, without 0x */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
