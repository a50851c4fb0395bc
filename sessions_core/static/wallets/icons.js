// @ts-check
/**
 * The pictures that wallets announce, made fit to draw. A picture is hostile input: an SVG of one kilobyte can keep a
 * browser busy for minutes, and a PNG of the same size can need gigabytes.
 */

export const MAX_ICON = 64 * 1024;
/** EIP-6963 asks for 96 by 96 pixels. */
const MAX_SIDE = 2048;
/** A picture that takes longer stays a letter. */
const PATIENCE_MS = 2_000;

/** Of the elements of an SVG that draw others again, and of the places that name one. Icons have a few. */
const MAX_CONTAINERS = 10;
const MAX_REFERENCES = 32;
const CONTAINER = /<(?:[\w.-]+:)?(?:use|pattern|mask|marker|symbol|clippath|filter|image|feimage)\b/gi;
const REFERENCE = /url\(|href\s*=/gi;
/** What multiplies, moves or hides references: entities, animations, other documents, escapes, other encodings. */
const REFUSED =
  /<!entity|<(?:[\w.-]+:)?(?:animate\w*|set|foreignobject|script)\b|data:image\/svg|&#|\\|\0|encoding\s*=\s*["'](?!utf-8)/i;
const STYLE = /<(?:[\w.-]+:)?style\b[^]*?<\/(?:[\w.-]+:)?style/gi;

/**
 * An image address that is safe to hand to `<img>`, or "". Addresses on other hosts would tell them
 * of the visit; SVG runs no script inside `<img>`.
 * @param {unknown} value
 * @returns {string}
 */
export function safeIcon(value) {
  if (typeof value !== "string" || value.length > MAX_ICON) return "";
  const icon = value.trim();
  const match = /^data:image\/(png|webp|jpeg|gif|svg\+xml|svg)(?=[;,])/i.exec(icon);
  if (!match) return "";
  if (!match[1].toLowerCase().startsWith("svg")) return icon;
  const data = icon.slice(match[0].length);
  // Leather ships `image/svg`, which no browser draws.
  return isLight(data) ? `data:image/svg+xml${data}` : "";
}

/**
 * Whether an SVG draws at most a few things more than once. References that name each other multiply: ten levels of
 * ten make ten thousand million. Browsers do that work at once, in the page, and nothing can stop them.
 * @param {string} data what follows the type in the address
 */
function isLight(data) {
  const [, parameters, body] = /^([^,]*),([^]*)$/.exec(data) ?? ["", "", ""];
  if (/charset/i.test(parameters) && !/charset=utf-?8/i.test(parameters)) return false;
  let svg;
  try {
    svg = unescaped(body);
    if (/;\s*base64\s*$/i.test(parameters)) svg = atob(svg);
  } catch {
    return false;
  }
  if (REFUSED.test(svg)) return false;
  if ((svg.match(STYLE) ?? []).some((style) => /url\(|@|animation/i.test(style))) return false;
  return count(svg, CONTAINER) <= MAX_CONTAINERS && count(svg, REFERENCE) <= MAX_REFERENCES;
}

/** @param {string} text @returns {string} its bytes, one a character */
function unescaped(text) {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}

/** @param {string} text @param {RegExp} pattern */
function count(text, pattern) {
  return text.match(pattern)?.length ?? 0;
}

/**
 * Puts a picture over the letter in a tile once the browser has time for it and has read it.
 * @param {HTMLElement} tile @param {string} icon as `safeIcon` returned it
 */
export function drawPicture(tile, icon) {
  const image = document.createElement("img");
  image.alt = "";
  image.width = image.height = 32;
  image.decoding = "async";
  const drop = () => {
    delete tile.dataset.picture;
    image.remove();
  };
  const timer = setTimeout(drop, PATIENCE_MS);
  image.addEventListener("error", drop);
  image.addEventListener("load", () => {
    clearTimeout(timer);
    // Only what is shown is decoded, and until now it is hidden.
    if (Math.max(image.naturalWidth, image.naturalHeight) > MAX_SIDE) drop();
    else if (image.isConnected) tile.dataset.picture = "";
  });
  tile.append(image);
  const draw = () => { image.src = icon; };
  if ("requestIdleCallback" in globalThis) requestIdleCallback(draw, { timeout: PATIENCE_MS / 2 });
  else setTimeout(draw);
}
