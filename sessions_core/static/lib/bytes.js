// @ts-check
/**
 * Bytes, and bytes as text. The module touches no DOM and keeps no state.
 */

/** @param {Uint8Array} bytes @returns {string} lower case, without 0x */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The bytes of a value, or null if it is none. By what it is and not by its constructor: a wallet that lives in a frame,
 * or beside the page, has constructors of its own.
 * @param {any} value @returns {Uint8Array | null} a copy
 */
export function toBytes(value) {
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
  }
  if (Object.prototype.toString.call(value) === "[object ArrayBuffer]") return new Uint8Array(value).slice();
  // What is left of a typed array, or of a Buffer, that went through JSON.
  const listed = Array.isArray(value) ? value : Array.isArray(value?.data) ? value.data : null;
  return listed?.every(isByte) ? Uint8Array.from(listed) : null;
}

/** @param {unknown} value */
function isByte(value) {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < 256;
}
