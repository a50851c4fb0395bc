// @ts-check
/**
 * Addresses of Ethereum as ERC-55 spells them, with a checksum in the case of their letters. Wallets answer in lower
 * case, and two spellings of one address look like two addresses to people.
 *
 * The module touches no DOM and keeps no state.
 */
import { toHex } from "./bytes.js";

/** Of the sponge of Keccak-256, in bytes. */
const BLOCK = 136;

/** @param {string} address 0x and 40 hex digits, in any case */
export function checksummed(address) {
  const digits = address.slice(2).toLowerCase();
  const hash = toHex(keccak256(new TextEncoder().encode(digits)));
  return `0x${Array.from(digits, (digit, at) => (hash[at] > "7" ? digit.toUpperCase() : digit)).join("")}`;
}

/**
 * Keccak-256 of less than one block. No browser has it: SHA3-256 pads differently.
 * @param {Uint8Array} bytes
 */
export function keccak256(bytes) {
  if (bytes.length >= BLOCK) throw new RangeError("longer than one block");
  const block = new Uint8Array(BLOCK);
  block.set(bytes);
  block[bytes.length] = 1;
  block[BLOCK - 1] |= 0x80;
  // 25 lanes of 64 bits; what is assigned is cut to them.
  const lanes = new BigUint64Array(25);
  const view = new DataView(block.buffer);
  for (let at = 0; at < BLOCK / 8; at += 1) lanes[at] = view.getBigUint64(8 * at, true);
  permute(lanes);
  const hash = new DataView(new ArrayBuffer(32));
  for (let at = 0; at < 4; at += 1) hash.setBigUint64(8 * at, lanes[at], true);
  return new Uint8Array(hash.buffer);
}

/** Keccak-f[1600], step by step as FIPS 202 names them. @param {BigUint64Array} lanes */
function permute(lanes) {
  let constant = 1;
  for (let round = 0; round < 24; round += 1) {
    // Theta
    const columns = [0, 1, 2, 3, 4].map((x) =>
      lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]);
    for (let at = 0; at < 25; at += 1) lanes[at] ^= columns[(at + 4) % 5] ^ turned(columns[(at + 1) % 5], 1);
    // Rho and pi
    let [x, y] = [1, 0];
    let moving = lanes[1];
    for (let step = 0; step < 24; step += 1) {
      [x, y] = [y, (2 * x + 3 * y) % 5];
      const next = lanes[x + 5 * y];
      lanes[x + 5 * y] = turned(moving, ((step + 1) * (step + 2) / 2) % 64);
      moving = next;
    }
    // Chi
    for (let row = 0; row < 25; row += 5) {
      const old = lanes.slice(row, row + 5);
      for (let at = 0; at < 5; at += 1) lanes[row + at] = old[at] ^ (~old[(at + 1) % 5] & old[(at + 2) % 5]);
    }
    // Iota
    for (let bit = 0; bit < 7; bit += 1) {
      constant = ((constant << 1) ^ ((constant >> 7) * 0x71)) % 256;
      if (constant & 2) lanes[0] ^= 1n << BigInt(2 ** bit - 1);
    }
  }
}

/** @param {bigint} lane @param {number} by */
function turned(lane, by) {
  return BigInt.asUintN(64, (lane << BigInt(by)) | (lane >> BigInt(64 - by)));
}
