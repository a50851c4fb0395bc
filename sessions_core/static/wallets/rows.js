// @ts-check
/**
 * The wallets of this browser, drawn into a panel: the rows to choose from, the tile of one, its name in the sentences.
 * Each function touches nothing but the element that it is given.
 */
import { announce, button, copy, fillSlots, part } from "../page/parts.js";
import { isRememberedWallet } from "./choices.js";
import { list, overflows } from "./discovery.js";
import { drawPicture } from "./icons.js";
import { quoted } from "./words.js";

/** @typedef {import("./discovery.js").Wallet} Wallet */

/**
 * Brings the rows up to date with the wallets that were found: one list per family, headed by the name of its chain
 * only where several have installed wallets. The wallet that was used last in this browser comes first; where another one
 * is to be linked to it, last. Once people have seen the rows, none of them moves any more: what comes later comes below,
 * since a script could otherwise push a row of its own under the pointer.
 * @param {Element} panel
 * @returns {boolean} whether the row that had the focus is gone
 */
export function drawWallets(panel) {
  const wallets = list();
  const all = part(panel, "wallets");
  const groups = Array.from(panel.querySelectorAll("[data-wallets]"));
  const focused = groups.some((group) => group.contains(document.activeElement));
  const seen = all.dataset.seen !== undefined;
  const linking = panel.getAttribute("data-purpose") === "link";
  const installed = new Set(wallets.filter((wallet) => !wallet.hosted).map((wallet) => wallet.family));
  for (const group of groups) {
    const own = wallets.filter((wallet) => wallet.family === group.getAttribute("data-wallets"));
    drawRows(panel, part(group, "rows"), own, { seen, linking });
    if (seen && group.hasAttribute("hidden") && own.length) all.append(group);
    if (!seen || group.hasAttribute("hidden")) part(group, "chain-heading").hidden = installed.size < 2;
    group.toggleAttribute("hidden", own.length === 0);
  }
  for (const offer of panel.querySelectorAll("[data-offer]")) {
    if (offer instanceof HTMLElement) drawOffer(offer, wallets.find(({ family }) => family === offer.dataset.offer));
  }
  const shown = groups.filter((group) => !group.hasAttribute("hidden"));
  const first = shown.find((group) => group.querySelector("[data-last]"));
  if (first && !linking && first !== shown[0] && !seen) shown[0].before(first);
  if (shown.length && !seen) requestAnimationFrame(() => { all.dataset.seen = ""; });
  warn(panel, "twins", wallets.some((wallet) => wallet.twin));
  warn(panel, "overflow", overflows());
  return focused && !groups.some((group) => group.contains(document.activeElement));
}

/** @param {Element} panel @param {string} about @param {boolean} on */
function warn(panel, about, on) {
  const notice = part(panel, about);
  if (on && notice.hidden) announce(panel, notice.textContent ?? "");
  notice.hidden = !on;
}

/**
 * @param {Element} panel @param {HTMLElement} rows @param {Wallet[]} wallets
 * @param {{seen: boolean, linking: boolean}} how
 */
function drawRows(panel, rows, wallets, { seen, linking }) {
  const ids = new Set(wallets.map((wallet) => wallet.id));
  const drawn = new Map(Array.from(rows.children, (row) => [button(row).dataset.walletId ?? "", row]));
  for (const [id, row] of drawn) if (!ids.has(id)) row.remove();
  for (const wallet of wallets) {
    let row = drawn.get(wallet.id);
    // Of several that claim to be the one that was used last, none is known to be it.
    const last = isRememberedWallet(wallet) && !wallet.twin;
    if (!row) {
      row = drawRow(panel, wallet);
      if (last && !seen && !linking) rows.prepend(row);
      else rows.append(row);
    }
    part(row, "rdns").hidden = !(wallet.twin && wallet.rdns);
    part(row, "alike").hidden = wallet.alike < 2;
    fillSlots(row, "place", String(wallet.place));
    fillSlots(row, "alike", String(wallet.alike));
    button(row).toggleAttribute("data-last", last);
    part(row, "last").hidden = !last;
  }
  const used = linking && !seen ? rows.querySelector("[data-last]")?.closest("li") : null;
  if (used) rows.append(used);
}

/**
 * What the server offers by itself has its row in the page, in words of its own.
 * @param {HTMLElement} offer @param {Wallet | undefined} wallet
 */
function drawOffer(offer, wallet) {
  offer.hidden = wallet === undefined;
  if (!wallet) return;
  button(offer).dataset.walletId = wallet.id;
  part(offer, "new").hidden = wallet.detail !== "";
  part(offer, "held").hidden = wallet.detail === "";
  fillSlots(offer, "held", wallet.detail);
}

/** @param {Element} panel @param {Wallet} wallet */
function drawRow(panel, wallet) {
  const row = copy(panel, "wallet-row");
  button(row).dataset.walletId = wallet.id;
  if (wallet.name) part(row, "name").textContent = wallet.name;
  part(row, "rdns").textContent = wallet.rdns;
  part(row, "opens").hidden = !wallet.site;
  part(row, "site").textContent = wallet.site;
  drawTile(part(row, "tile"), wallet);
  return row;
}

/**
 * Puts the name of a wallet into the sentences, quoted, and alone where nothing stands around it.
 * @param {Element} panel @param {Wallet} wallet
 */
export function fillWallet(panel, { name }) {
  const unnamed = part(copy(panel, "wallet-row"), "name").textContent ?? "";
  fillSlots(panel, "wallet", quoted(name) || unnamed);
  fillSlots(panel, "wallet-name", name || unnamed);
}

/** The wallet's picture, or its letter until and unless the picture loads. @param {HTMLElement} tile @param {Wallet} wallet */
export function drawTile(tile, wallet) {
  if (tile.dataset.of === wallet.id) return;
  tile.dataset.of = wallet.id;
  tile.dataset.tint = String(wallet.tint);
  const letter = document.createElement("span");
  letter.textContent = wallet.monogram;
  tile.replaceChildren(letter);
  delete tile.dataset.picture;
  if (wallet.icon) drawPicture(tile, wallet.icon);
}
