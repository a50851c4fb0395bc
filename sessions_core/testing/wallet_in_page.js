/* Plays one wallet in a page, and signs with a real key. Selenium and Playwright run it before the page's own scripts.
   In a page that has the wallet already it only changes what the wallet is set to.

   What a user would be asked in the wallet's window is answered by `mode`: "approve", "reject", or "stall", which leaves
   the window open until the mode changes. The keys are those of tests: every page can read them here. */
(function (config) {
  if (window.top !== window) return;
  const wallets = (window.sessionsTestWallets ??= {});
  if (wallets[config.id]) return wallets[config.id].set(config);

  /* A shorter time looks like a wallet that refuses by itself, and not like a user who read the question. */
  const READING_MS = 700;
  const stored = `sessions-test-wallet:${config.id}`;
  const wallet = { ...config, calls: [], listeners: {}, waiting: [], remove: () => {} };
  wallets[config.id] = wallet;

  /* A wallet stays connected when the page changes. */
  const remember = (connected) => {
    wallet.connected = connected;
    try {
      sessionStorage.setItem(stored, connected ? "1" : "0");
    } catch {
      // A page without storage, such as about:blank.
    }
  };
  try {
    const was = sessionStorage.getItem(stored);
    if (was !== null && !config.connected) wallet.connected = was === "1";
  } catch {
    // As above.
  }

  const decide = () => new Promise((resolve, reject) => {
    const settle = () => {
      if (wallet.mode === "approve") resolve();
      else if (wallet.mode === "reject") setTimeout(reject, READING_MS, refusal());
      else wallet.waiting.push(settle);
    };
    settle();
  });
  const refusal = () => ({ code: wallet.namespace === "stacks" ? -32000 : 4001, message: "User rejected the request." });
  const emit = (event, value) => {
    for (const listener of Array.from(wallet.listeners[event] ?? [])) listener(value);
  };
  const listen = (event, listener) => {
    (wallet.listeners[event] ??= new Set()).add(listener);
    return () => wallet.listeners[event].delete(listener);
  };
  wallet.set = ({ mode, accounts, chainId }) => {
    wallet.mode = mode;
    const former = { accounts: wallet.accounts, chainId: wallet.chainId };
    Object.assign(wallet, { accounts, chainId });
    if (accounts[0].address !== former.accounts[0].address && wallet.connected) wallet.accountsChanged();
    if (chainId !== former.chainId) emit("chainChanged", chainId);
    for (const settle of wallet.waiting.splice(0)) settle();
  };
  wallet.lock = () => {
    remember(false);
    wallet.accountsChanged();
  };

  // -- Signatures ------------------------------------------------------------------------------------------------

  const P = 2n ** 256n - 2n ** 32n - 977n;
  const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const G = [
    0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
    0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
  ];
  const MASK = 2n ** 64n - 1n;
  const mod = (number, modulus) => ((number % modulus) + modulus) % modulus;
  const inverse = (number, modulus) => {
    let [a, b, x, y] = [mod(number, modulus), modulus, 1n, 0n];
    while (a > 1n) [a, b, x, y] = [b % a, a, y - (b / a) * x, x];
    return mod(x, modulus);
  };
  const plus = (p, q) => {
    if (!p || !q) return p ?? q;
    if (p[0] === q[0] && p[1] !== q[1]) return null;
    const slope = p[0] === q[0] ? 3n * p[0] * p[0] * inverse(2n * p[1], P) : (q[1] - p[1]) * inverse(q[0] - p[0], P);
    const x = mod(slope * slope - p[0] - q[0], P);
    return [x, mod(slope * (p[0] - x) - p[1], P)];
  };
  const times = (factor) => {
    let [sum, power] = [null, G];
    for (let rest = factor; rest > 0n; rest >>= 1n) {
      if (rest & 1n) sum = plus(sum, power);
      power = plus(power, power);
    }
    return sum;
  };
  const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const fromHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (digits) => parseInt(digits, 16));
  const join = (...parts) => Uint8Array.from(parts.flatMap((part) => Array.from(part)));
  const number = (bytes) => BigInt(`0x${toHex(bytes)}`);
  const digest = async (name, bytes) => new Uint8Array(await crypto.subtle.digest(name, bytes));
  const utf8 = (text) => new TextEncoder().encode(text);

  /* Keccak-256 of the Keccak team's reference: 24 rounds on 25 lanes, with the padding of Ethereum. */
  const keccak256 = (bytes) => {
    const rate = 136;
    const lanes = Array(25).fill(0n);
    const padded = new Uint8Array((Math.floor(bytes.length / rate) + 1) * rate);
    padded.set(bytes);
    padded[bytes.length] = 1;
    padded[padded.length - 1] |= 0x80;
    const turn = (lane, bits) => ((lane << BigInt(bits % 64)) | (lane >> BigInt(64 - (bits % 64)))) & MASK;
    for (let block = 0; block < padded.length; block += rate) {
      for (let lane = 0; lane < rate / 8; lane += 1) {
        lanes[lane] ^= number(padded.slice(block + 8 * lane, block + 8 * lane + 8).reverse());
      }
      for (let round = 0, lfsr = 1; round < 24; round += 1) {
        const columns = [0, 1, 2, 3, 4].map((x) => [0, 5, 10, 15, 20].reduce((sum, y) => sum ^ lanes[x + y], 0n));
        for (let at = 0; at < 25; at += 1) lanes[at] ^= columns[(at + 4) % 5] ^ turn(columns[(at + 1) % 5], 1);
        let [x, y, current] = [1, 0, lanes[1]];
        for (let step = 0; step < 24; step += 1) {
          [x, y] = [y, (2 * x + 3 * y) % 5];
          [current, lanes[x + 5 * y]] = [lanes[x + 5 * y], turn(current, ((step + 1) * (step + 2)) / 2)];
        }
        for (let row = 0; row < 25; row += 5) {
          const old = lanes.slice(row, row + 5);
          for (let at = 0; at < 5; at += 1) lanes[row + at] = old[at] ^ (~old[(at + 1) % 5] & MASK & old[(at + 2) % 5]);
        }
        for (let bit = 0; bit < 7; bit += 1) {
          lfsr = ((lfsr << 1) ^ ((lfsr >> 7) * 0x71)) % 256;
          if (lfsr & 2) lanes[0] ^= 1n << BigInt(2 ** bit - 1);
        }
      }
    }
    return fromHex(lanes.slice(0, 4).map((lane) => toHex(fromHex(lane.toString(16).padStart(16, "0")).reverse())).join(""));
  };

  /* ECDSA with a low s: r, s and the parity of the point, as 64 bytes of hex and a number. */
  const ecdsa = async (key, hash) => {
    const k = mod(number(await digest("SHA-512", join(key, hash))), N - 1n) + 1n;
    const [x, y] = times(k);
    let [s, parity] = [mod(inverse(k, N) * (number(hash) + mod(x, N) * number(key)), N), Number(y & 1n)];
    if (s > N / 2n) [s, parity] = [N - s, 1 - parity];
    return [mod(x, N).toString(16).padStart(64, "0") + s.toString(16).padStart(64, "0"), parity];
  };
  const signatures = {
    async eip155(key, bytes) {
      const [signature, parity] = await ecdsa(key, keccak256(join(utf8(`\x19Ethereum Signed Message:\n${bytes.length}`), bytes)));
      return `0x${signature}${parity ? "1c" : "1b"}`;
    },
    async stacks(key, bytes) {
      const length = bytes.length < 253 ? [bytes.length] : [0xfd, bytes.length & 255, bytes.length >> 8];
      const text = join(utf8("\x17Stacks Signed Message:\n"), length, bytes);
      const [signature, parity] = await ecdsa(key, await digest("SHA-256", text));
      return `${signature}0${parity}`;
    },
    async solana(key, bytes) {
      const pkcs8 = join(fromHex("302e020100300506032b657004220420"), key);
      const usable = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
      return new Uint8Array(await crypto.subtle.sign("Ed25519", usable, bytes));
    },
  };
  const sign = (bytes, address) => {
    const same = (each) => each.address.toLowerCase() === address?.toLowerCase();
    const { key } = wallet.accounts.find(same) ?? wallet.accounts[0];
    return signatures[wallet.namespace](fromHex(key), bytes);
  };

  // -- What the page sees ------------------------------------------------------------------------------------------

  const addresses = () => (wallet.connected ? wallet.accounts.map(({ address }) => address.toLowerCase()) : []);
  const kinds = {
    /* EIP-1193, announced by EIP-6963. */
    eip155() {
      const answers = {
        eth_chainId: () => wallet.chainId,
        eth_accounts: () => addresses(),
        async eth_requestAccounts() {
          if (!wallet.connected) await decide();
          remember(true);
          return addresses();
        },
        async wallet_requestPermissions() {
          await decide();
          remember(true);
          return [{ parentCapability: "eth_accounts" }];
        },
        async personal_sign([data, address]) {
          await decide();
          return sign(fromHex(data.slice(2)), address);
        },
        async wallet_switchEthereumChain([{ chainId }]) {
          await decide();
          wallet.chainId = chainId;
          emit("chainChanged", chainId);
          return null;
        },
      };
      const provider = {
        async request({ method, params }) {
          wallet.calls.push(method);
          if (!Object.hasOwn(answers, method)) throw { code: 4200, message: "Unsupported method" };
          return answers[method](params ?? []);
        },
        on: listen,
        removeListener(event, listener) { wallet.listeners[event]?.delete(listener); },
      };
      wallet.accountsChanged = () => emit("accountsChanged", addresses());
      const info = Object.freeze({ uuid: wallet.id, name: wallet.name, icon: wallet.icon, rdns: "org.example.test" });
      const announce = () => {
        const detail = Object.freeze({ info, provider });
        window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
      };
      window.addEventListener("eip6963:requestProvider", announce);
      announce();
    },

    /* The interface of Xverse, which resolves with its refusals. */
    stacks() {
      const answer = (content) => ({ jsonrpc: "2.0", id: crypto.randomUUID(), ...content });
      const refuse = (code, message) => answer({ error: { code, message } });
      const shared = () => answer({
        result: {
          id: "1",
          walletType: "software",
          addresses: wallet.accounts.map(({ address, publicKey }) => (
            { address, publicKey, purpose: "stacks", addressType: "stacks", walletType: "software" }
          )),
        },
      });
      const provider = {
        signMultipleTransactions() {},
        createRepeatInscriptions() {},
        async request(method, params) {
          wallet.calls.push(method);
          try {
            if (method === "wallet_getAccount") return wallet.connected ? shared() : refuse(-32002, "Access denied.");
            if (method === "wallet_connect" || method === "stx_getAddresses") {
              if (!wallet.connected) await decide();
              remember(true);
              return shared();
            }
            if (method !== "stx_signMessage") return refuse(-32601, "Method not found.");
            await decide();
            const signature = await sign(utf8(params.message));
            return answer({ result: { signature, publicKey: wallet.accounts[0].publicKey } });
          } catch (error) {
            return answer({ error });
          }
        },
        addListener: ({ eventName, cb }) => listen(eventName, cb),
      };
      wallet.accountsChanged = () => emit("accountChange", { type: "accountChange" });
      window.XverseProviders = { BitcoinProvider: provider, StacksProvider: { request() {} } };
      (window.btc_providers ??= []).push({ id: "XverseProviders.BitcoinProvider", name: wallet.name, icon: wallet.icon });
    },

    /* The Wallet Standard. */
    solana() {
      const chains = ["solana:mainnet", "solana:devnet", "solana:testnet"];
      const features = ["solana:signMessage"];
      const objects = {};
      const accounts = () => (wallet.connected ? wallet.accounts : [])
        .map(({ address }) => (objects[address] ??= { address, chains, features }));
      const standard = {
        version: "1.0.0",
        name: wallet.name,
        icon: wallet.icon,
        chains,
        get accounts() { return accounts(); },
        features: {
          "standard:connect": {
            version: "1.0.0",
            async connect(input) {
              wallet.calls.push("connect");
              if (!wallet.connected && !input?.silent) await decide();
              if (!input?.silent) remember(true);
              return { accounts: accounts() };
            },
          },
          "standard:events": { version: "1.0.0", on: listen },
          "solana:signMessage": {
            version: "1.1.0",
            async signMessage({ account, message }) {
              wallet.calls.push("signMessage");
              await decide();
              return [{ signedMessage: message, signature: await sign(message, account.address) }];
            },
          },
        },
      };
      wallet.accountsChanged = () => emit("change", { accounts: accounts() });
      const register = ({ register: add }) => add(standard);
      window.dispatchEvent(new CustomEvent("wallet-standard:register-wallet", { detail: register }));
      window.addEventListener("wallet-standard:app-ready", ({ detail }) => register(detail));
    },
  };
  kinds[wallet.namespace]();
})
