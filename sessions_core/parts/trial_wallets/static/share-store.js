// @ts-check
/**
 * This browser's half of a pre-generated wallet's key, kept across reloads: in IndexedDB, encrypted by an AES-GCM key
 * that is there as well and can't be exported. Who copies the files of the profile has both; a script of this site can
 * use the half and could always. What this stops is the half lying about as text, in storage that scripts, extensions
 * and backups read without meaning to.
 *
 * The module touches no DOM.
 */

const DATABASE = "wallet-share";
const STORE = "kept";
const CHANNEL = "wallet-share";
const LENGTH = 32;

/** @typedef {{account: string, share: Uint8Array<ArrayBuffer>}} Half `account` is CAIP-10 */
/** @typedef {{account: string, key: CryptoKey, iv: Uint8Array<ArrayBuffer>, sealed: ArrayBuffer}} Kept */

/**
 * The browser has no room for the half (`full`), does not let this site store anything (`blocked`), or what is stored does
 * not open (`unreadable`). Where it is blocked, the half may still be there.
 */
export class StorageFailed extends Error {
  /** @param {"full" | "blocked" | "unreadable"} kind @param {string} detail @param {{cause?: unknown}} [options] */
  constructor(kind, detail, options) {
    super(detail, options);
    this.kind = kind;
  }
}

/**
 * Keeps a half, unless one is here already: of two that were made at once, the first is not lost for the second.
 * @param {string} account @param {string} hex the share, 64 digits
 * @throws {StorageFailed}
 */
export async function keep(account, hex) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const share = bytes(hex);
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  const sealed = await crypto.subtle.encrypt(sealing(iv, account), key, share);
  share.fill(0);
  await within("readwrite", (store) => {
    const found = store.get("half");
    found.onsuccess = () => { if (!found.result) store.put({ account, key, iv, sealed }, "half"); };
    return found;
  });
  tell();
  // Otherwise the browser may delete it when it needs the space. Whether it agrees is for it to say; nobody waits.
  navigator.storage?.persist?.().catch(() => {});
}

/** Finds out whether there is room for a half, before one is made. @throws {StorageFailed} */
export async function reserve() {
  await within("readwrite", (store) => {
    store.put(new Uint8Array(1024), "room");
    return store.delete("room");
  });
}

/** The account whose half is here, or "". @throws {StorageFailed} */
export async function account() {
  const found = await kept();
  if (found && !isWhole(found)) throw new StorageFailed("unreadable", "not what was kept");
  return found?.account ?? "";
}

/** @returns {Promise<Half | null>} `null` if there is none @throws {StorageFailed} */
export async function read() {
  const found = await kept();
  if (!found) return null;
  try {
    const share = await crypto.subtle.decrypt(sealing(found.iv, found.account), found.key, found.sealed);
    return { account: found.account, share: new Uint8Array(share) };
  } catch (error) {
    throw new StorageFailed("unreadable", "not what was kept", { cause: error });
  }
}

/**
 * Destroys the half of an account, or one that is damaged beyond its name. That of another account stays, which a tab may
 * have put in its place since.
 * @param {string} account @throws {StorageFailed}
 */
export async function remove(account) {
  await within("readwrite", (store) => {
    const found = store.get("half");
    found.onsuccess = () => {
      if (found.result && (found.result.account === account || !isWhole(found.result))) store.delete("half");
    };
    return found;
  });
  tell();
}

/**
 * Reports when another tab, or this one, kept or destroyed a half, until the returned function is called.
 * @param {() => void} changed @returns {() => void}
 */
export function watch(changed) {
  if (!("BroadcastChannel" in globalThis)) return () => {};
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = changed;
  return () => channel.close();
}

/** @param {string} text 64 digits @returns {Uint8Array<ArrayBuffer>} */
export function bytes(text) {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new StorageFailed("unreadable", "not a share");
  return Uint8Array.from({ length: LENGTH }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/** @returns {Promise<Kept | undefined>} */
function kept() {
  return within("readonly", (store) => store.get("half"));
}

/** @param {any} found */
function isWhole(found) {
  return typeof found.account === "string" && found.key instanceof CryptoKey;
}

/** A half copied to the name of another account does not open. @param {Uint8Array<ArrayBuffer>} iv @param {string} account */
function sealing(iv, account) {
  return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(account) };
}

/**
 * One step in a database that is open no longer than that: an open one would keep others from clearing it.
 * @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest} step @returns {Promise<any>}
 */
async function within(mode, step) {
  try {
    const database = await open();
    try {
      const transaction = database.transaction(STORE, mode, { durability: "strict" });
      const asked = step(transaction.objectStore(STORE));
      await new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = transaction.onerror = () => reject(transaction.error ?? asked.error);
      });
      return asked.result;
    } finally {
      database.close();
    }
  } catch (error) {
    const full = error instanceof Error && error.name === "QuotaExceededError";
    throw new StorageFailed(full ? "full" : "blocked", "the browser's storage can't be used", { cause: error });
  }
}

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open(DATABASE, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE);
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
    asked.onblocked = () => reject(new Error("blocked"));
  });
}

function tell() {
  if (!("BroadcastChannel" in globalThis)) return;
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage("changed");
  channel.close();
}
