// @ts-check
/**
 * What wallets say, made fit to show: names, messages, codes. All of it is hostile input. Any extension, or a script
 * inside one, can call itself anything.
 *
 * The module touches no DOM and keeps no state.
 */

export const MAX_NAME = 40;
export const MAX_SAID = 300;

// Cc control, Cf format (bidi overrides, zero width, tags), Cs lone surrogates, Co private use,
// Cn unassigned, Zl/Zp line breaks; then the letters that print as nothing, and variation selectors.
const UNPRINTABLE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u034F\u115F\u1160\u17B4\u17B5\u2800\u3164\uFFA0\uFE00-\uFE0F\u{E0100}-\u{E01EF}]/gu;
// Towers of combining marks paint over the neighbouring rows.
const MARK_TOWER = /(\p{M}{2})\p{M}+/gu;
const QUOTES = /["“”„‟«»‹›＂]/gu;

/**
 * Letters of other alphabets that look like a Latin one, in the case in which they do. A small part of Unicode's
 * confusables (UTS 39): the alphabets that fonts draw with the same shapes. Compatibility forms (mathematical,
 * full-width, ligatures) need no line here, since NFKD undoes them.
 */
const LOOKALIKES = new Map(Object.entries({
  a: "аɑα", A: "АΑ", b: "ЬƄ", B: "ВΒ", c: "сϲ", C: "СϹ", d: "ԁɗ", e: "еҽє", E: "ЕΕ", g: "ɡց", H: "НΗ", h: "һհ", i: "іιı",
  I: "ІΙӀ", j: "јϳ", J: "Ј", k: "кκ", K: "КΚ", l: "ӏǀ", m: "м", M: "МΜ", n: "пηո", N: "Ν", o: "оοօσ", O: "ОΟՕ", p: "рρ",
  P: "РΡ", q: "ԛգ", r: "гґ", s: "ѕ", S: "ЅՏ", t: "тτ", T: "ТΤ", u: "υսц", v: "νѵ", w: "ԝωшա", W: "Ԝ", x: "хχ", X: "ХΧ",
  y: "уγү", Y: "ҮΥ", z: "ᴢ", Z: "Ζ",
}).flatMap(([latin, others]) => Array.from(others, (other) => /** @type {[string, string]} */ ([other, latin]))));

/** @param {string} text @returns {string[]} */
function graphemes(text) {
  if (typeof Intl !== "undefined" && "Segmenter" in Intl) {
    return Array.from(new Intl.Segmenter().segment(text), (part) => part.segment);
  }
  return Array.from(text);
}

/**
 * One line of printable text of at most `limit` code points, never cut inside a character.
 * @param {unknown} value
 * @param {number} [limit]
 * @returns {string}
 */
export function printable(value, limit = MAX_NAME) {
  if (typeof value !== "string") return "";
  const text = value
    .slice(0, 2000)
    .replace(/\s+/gu, " ")
    .replace(UNPRINTABLE, "")
    .replace(MARK_TOWER, "$1")
    .replace(/ {2,}/g, " ")
    .trim();
  if (Array.from(text).length <= limit) return text;
  let kept = "";
  let size = 0;
  for (const grapheme of graphemes(text)) {
    size += Array.from(grapheme).length;
    if (size > limit - 1) break;
    kept += grapheme;
  }
  return `${kept.trimEnd()}…`;
}

/**
 * The same in quotation marks, so that in a sentence of ours it can't pass for our words; "" where nothing is left. Its
 * own quotation marks become simple ones: none can end the quotation.
 * @param {unknown} value @param {number} [limit]
 */
export function quoted(value, limit = MAX_NAME) {
  const text = printable(value, limit).replace(QUOTES, "'");
  return text && `“${text}”`;
}

/**
 * The shape of a name: two names with one shape look alike to people. Case, accents, spaces, punctuation and the
 * alphabet of a letter don't count, nor do `l`, `I` and `1`, `O` and `0`, `rn` and `m`, `vv` and `w`.
 * @param {string} name
 */
export function skeleton(name) {
  return Array.from(name.replace(/[™℠®©]/g, "").normalize("NFKD"), (letter) => LOOKALIKES.get(letter) ?? letter)
    .join("")
    .replace(/[^\p{L}\p{N}\p{Extended_Pictographic}|]/gu, "")
    .toLowerCase()
    .replace(/[i1|]/g, "l")
    .replace(/0/g, "o")
    .replace(/rn/g, "m")
    .replace(/vv/g, "w");
}

/** @param {string} name @returns {string} */
export function monogram(name) {
  const letter = graphemes(name).find((part) => /[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(part));
  return letter ? letter.toLocaleUpperCase() : "?";
}
