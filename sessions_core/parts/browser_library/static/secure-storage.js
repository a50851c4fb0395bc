// @ts-check
/**
 * `SecureStorage` keeps texts in IndexedDB, encrypted with AES-GCM by a key of 256 bits that is there as well and that no
 * script can export. So nothing lies about as text where scripts, extensions and backups read without meaning to, and
 * what was stored is there after a reload. It does not stop a script that runs on this origin: that can use the key.
 *
 * The module touches no DOM.
 */

const IV_BYTES = 12;
const VERSION = 1;

/**
 * The browser does not let this page store anything (`storage_unavailable`), has no room (`storage_full`), or the storage
 * was destroyed while something was on its way into it (`storage_cleared`).
 */
export class SecureStorageError extends Error {
  /** @param {"storage_unavailable" | "storage_full" | "storage_cleared"} code @param {{cause?: unknown}} [options] */
  constructor(code, options) {
    super(code, options);
    this.name = "SecureStorageError";
    this.code = code;
  }
}

/** @typedef {{id: string, key: CryptoKey}} StoredKey */

export class SecureStorage {
  #name;

  /** @param {{name?: string}} [options] `name` is that of the database; two storages of one name are one */
  constructor({ name = "wallet-session" } = {}) {
    this.#name = name;
  }

  /** @param {string} name @param {string} value @returns {Promise<void>} @throws {SecureStorageError} */
  async setItem(name, value) {
    const { id, key } = await this.#key();
    const sealed = await seal(key, value, name);
    await this.#within("readwrite", ({ keys, items }) => {
      const found = keys.get("current");
      found.onsuccess = () => {
        // A sign-out in between has destroyed the key, and with it all that was to be kept.
        if (found.result?.id !== id) items.transaction.abort();
        else items.put(sealed, name);
      };
      return found;
    });
  }

  /** @param {string} name @returns {Promise<string | null>} null for nothing, and for what does not open @throws {SecureStorageError} */
  async getItem(name) {
    /** @type {{key: any, item: any}} */
    const found = { key: null, item: null };
    await this.#within("readonly", ({ keys, items }) => {
      const key = keys.get("current");
      key.onsuccess = () => { found.key = key.result?.key; };
      const item = items.get(name);
      item.onsuccess = () => { found.item = item.result; };
      return item;
    });
    if (!found.key || typeof found.item !== "string") return null;
    return unseal(found.key, found.item, name).catch(() => null);
  }

  /** @param {string} name @returns {Promise<void>} @throws {SecureStorageError} */
  async removeItem(name) {
    await this.#within("readwrite", ({ items }) => items.delete(name));
  }

  /** @param {string} text @returns {Promise<string>} Base64, of this storage's key @throws {SecureStorageError} */
  async encrypt(text) {
    return seal((await this.#key()).key, text, "");
  }

  /**
   * @param {string} sealed what `encrypt` returned @returns {Promise<string>}
   * @throws {SecureStorageError | DOMException} `OperationError` for what this key has not encrypted
   */
  async decrypt(sealed) {
    return unseal((await this.#key()).key, sealed, "");
  }

  /**
   * Destroy the key and everything in the storage.
   * @param {{keep?: (name: string) => boolean}} [options] items for which `keep` is true stay, and the key stays with them
   * @returns {Promise<void>} @throws {SecureStorageError}
   */
  async destroy({ keep = () => false } = {}) {
    await this.#within("readwrite", ({ keys, items }) => {
      const names = items.getAllKeys();
      names.onsuccess = () => {
        const going = names.result.filter((name) => !keep(String(name)));
        for (const name of going) items.delete(name);
        if (going.length === names.result.length) keys.clear();
      };
      return names;
    });
  }

  /** The key; of two tabs that make one at the same time, the first one's counts. @returns {Promise<StoredKey>} */
  async #key() {
    /** @type {StoredKey | null} */
    let stored = null;
    await this.#within("readonly", ({ keys }) => {
      const found = keys.get("current");
      found.onsuccess = () => { stored = found.result ?? null; };
      return found;
    });
    if (stored) return stored;
    const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    const made = { id: crypto.randomUUID(), key };
    await this.#within("readwrite", ({ keys }) => {
      const found = keys.get("current");
      found.onsuccess = () => {
        stored = found.result ?? made;
        if (!found.result) keys.put(made, "current");
      };
      return found;
    });
    return stored ?? made;
  }

  /**
   * @param {"readonly" | "readwrite"} mode
   * @param {(stores: {keys: IDBObjectStore, items: IDBObjectStore}) => IDBRequest} run
   * @returns {Promise<void>} once the transaction is complete
   */
  async #within(mode, run) {
    // A page that is not a secure context has no WebCrypto.
    if (!globalThis.crypto?.subtle) throw new SecureStorageError("storage_unavailable");
    const database = await this.#open();
    try {
      await new Promise((resolve, reject) => {
        const transaction = database.transaction(["keys", "items"], mode);
        transaction.oncomplete = () => resolve(undefined);
        transaction.onabort = () => reject(failure(transaction.error));
        run({ keys: transaction.objectStore("keys"), items: transaction.objectStore("items") });
      });
    } finally {
      database.close();
    }
  }

  /** @returns {Promise<IDBDatabase>} */
  #open() {
    return new Promise((resolve, reject) => {
      let opening;
      try {
        opening = indexedDB.open(this.#name, VERSION);
      } catch (error) {
        reject(new SecureStorageError("storage_unavailable", { cause: error }));
        return;
      }
      opening.onupgradeneeded = () => {
        opening.result.createObjectStore("keys");
        opening.result.createObjectStore("items");
      };
      opening.onerror = () => reject(new SecureStorageError("storage_unavailable", { cause: opening.error }));
      opening.onsuccess = () => resolve(opening.result);
    });
  }
}

/** @param {DOMException | null} error why a transaction was aborted; null if it was by ourselves */
function failure(error) {
  if (!error) return new SecureStorageError("storage_cleared");
  return new SecureStorageError(error.name === "QuotaExceededError" ? "storage_full" : "storage_unavailable", { cause: error });
}

/** The name of an item is bound to it: one put in the place of another does not open. @param {BufferSource} iv @param {string} name */
function algorithm(iv, name) {
  return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(name) };
}

/** @param {CryptoKey} key @param {string} text @param {string} name */
async function seal(key, text, name) {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const sealed = await crypto.subtle.encrypt(algorithm(iv, name), key, new TextEncoder().encode(text));
  const bytes = new Uint8Array(IV_BYTES + sealed.byteLength);
  bytes.set(iv);
  bytes.set(new Uint8Array(sealed), IV_BYTES);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** @param {CryptoKey} key @param {string} text @param {string} name */
async function unseal(key, text, name) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const [iv, sealed] = [bytes.slice(0, IV_BYTES), bytes.slice(IV_BYTES)];
  return new TextDecoder().decode(await crypto.subtle.decrypt(algorithm(iv, name), key, sealed));
}
