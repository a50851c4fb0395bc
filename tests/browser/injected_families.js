/* Plays one wallet of Stacks or of Solana, as injected_wallet.js plays one of Ethereum: runs before the page's own
   scripts, and what a person would be asked in the wallet's window waits in a queue until the test answers. Lists,
   shapes of answers and of refusals are those of the real wallets. */
(function (config) {
  if (window.top !== window) return;
  const wallet = { accounts: config.accounts, connected: config.connected, queue: [], calls: [], listeners: {} };
  const open = new Map();
  let last = 0;
  const prompt = (method, params) => new Promise((resolve, reject) => {
    wallet.queue.push({ number: (last += 1), at: performance.now(), method, params, resolve, reject });
  });
  wallet.take = (method) => {
    const index = wallet.queue.findIndex((request) => !method || request.method === method);
    if (index < 0) return null;
    const [request] = wallet.queue.splice(index, 1);
    open.set(request.number, request);
    return { number: request.number, method: request.method, params: request.params };
  };
  /* `after`: so many milliseconds after the question at the earliest, since people read first. */
  wallet.settle = (number, { after = 0, ...answer }) => {
    const request = open.get(number);
    open.delete(number);
    const settle = () => ("error" in answer ? request.reject(answer.error) : request.resolve(answer.result));
    const early = request.at + after - performance.now();
    if (early > 0) setTimeout(settle, early);
    else settle();
  };
  (window.walletsInPage ??= {})[config.key] = wallet;

  const envelope = (answer) => ({ jsonrpc: "2.0", id: crypto.randomUUID(), ...answer });
  const list = (extra = {}) => {
    (window[config.list] ??= []).push({ id: config.path, name: config.name, icon: config.icon, ...extra });
  };
  const stx = ({ address, publicKey }) => ({ symbol: "STX", address, publicKey });
  const btc = { symbol: "BTC", address: "bc1qtmqe7hg4etkq4t384nzg0mrmwf2sam9fjsz0mr", publicKey: "02" };

  const families = {
    /* Rejects with the whole JSON-RPC answer, or with the bare error, as older ones do; opens its window for every question, has no events. */
    leather() {
      const provider = {
        isLeather: true,
        async request(method, params) {
          wallet.calls.push(method);
          if (!config.methods.includes(method)) throw envelope({ error: { code: -32601, message: "Not supported" } });
          try {
            const result = await prompt(method, params);
            if (method === "stx_signMessage") return envelope({ result });
            wallet.connected = true;
            return envelope({ result: result ?? { addresses: [btc, ...wallet.accounts.map(stx)] } });
          } catch (error) {
            throw config.bare ? error : envelope({ error });
          }
        },
      };
      const define = () => Object.defineProperty(window, "LeatherProvider", { get: () => provider, set() {} });
      wallet.arrive = () => {
        define();
        list();
      };
      if (config.arrive === "unlisted") define();
    },

    /* Resolves with its refusals, and answers what was granted before without a window. */
    xverse() {
      const entries = () => wallet.accounts.map(({ address, publicKey }) => ({
        address, publicKey, purpose: "stacks", addressType: "stacks", walletType: "software",
      }));
      const account = () => envelope({ result: { id: "1", walletType: "software", addresses: entries() } });
      const refuse = (code, message) => envelope({ error: { code, message } });
      const provider = {
        signMultipleTransactions() {},
        createRepeatInscriptions() {},
        async request(method, params) {
          wallet.calls.push(method);
          if (!config.methods.includes(method)) return refuse(-32601, "Method not found.");
          if (method === "wallet_getAccount") return wallet.connected ? account() : refuse(-32002, "Access denied.");
          if (method !== "stx_signMessage" && wallet.connected) return account();
          try {
            const result = await prompt(method, params);
            if (method === "stx_signMessage") return envelope({ result });
            wallet.connected = true;
            return result ? envelope({ result }) : account();
          } catch (error) {
            return envelope({ error });
          }
        },
        addListener({ eventName, cb }) {
          (wallet.listeners[eventName] ??= new Set()).add(cb);
          return () => wallet.listeners[eventName].delete(cb);
        },
      };
      wallet.arrive = () => {
        window.XverseProviders = { BitcoinProvider: provider, StacksProvider: { request() {} } };
        list();
      };
      wallet.emit = (event) => {
        for (const listener of Array.from(wallet.listeners[event] ?? [])) listener({ type: event });
      };
    },

    /* The Wallet Standard, with the errors of Phantom. */
    solana() {
      const features = config.features ?? ["solana:signMessage", "solana:signAndSendTransaction"];
      const accounts = () => (wallet.connected ? wallet.accounts : [])
        .map(({ address }) => wallet.objects[address] ??= { address, chains: config.chains, features });
      wallet.objects = {};
      /* As the library of the standard writes it (createSignInMessageText). */
      const signInText = (input) => {
        const lines = [
          ["URI", input.uri], ["Version", input.version], ["Chain ID", input.chainId], ["Nonce", input.nonce],
          ["Issued At", input.issuedAt], ["Expiration Time", input.expirationTime], ["Not Before", input.notBefore],
        ].filter(([, value]) => value).map(([name, value]) => `${name}: ${value}`);
        const first = `${input.domain} wants you to sign in with your Solana account:\n${input.address}`;
        return [first, input.statement, lines.join("\n")].filter(Boolean).join("\n\n");
      };
      const signIn = {
        version: "1.0.0",
        async signIn(input) {
          wallet.calls.push("signIn");
          if (config.signIn === "unsupported") throw { code: 4200, message: "Not supported" };
          if (input.domain !== location.host) throw { code: -32603, message: "The domain is of another site" };
          const text = signInText(input) + (config.signIn === "otherwise" ? "\nResources:" : "");
          const { signature } = await prompt("signIn", { address: input.address, text });
          const account = accounts().find(({ address }) => address === input.address);
          return [{ account, signedMessage: new TextEncoder().encode(text), signature: Uint8Array.from(signature) }];
        },
      };
      const standard = {
        version: "1.0.0", name: config.name, icon: config.icon, chains: config.chains,
        get accounts() { return config.forgetful ? [] : accounts(); },
        features: {
          "standard:connect": {
            version: "1.0.0",
            async connect(input) {
              wallet.calls.push(input?.silent ? "connect silently" : "connect");
              if (!wallet.connected) await prompt("connect", {});
              wallet.connected = true;
              return { accounts: accounts() };
            },
          },
          "standard:events": {
            version: "1.0.0",
            on(event, listener) {
              (wallet.listeners[event] ??= new Set()).add(listener);
              return () => wallet.listeners[event].delete(listener);
            },
          },
          ...(config.signIn ? { "solana:signIn": signIn } : {}),
          "solana:signMessage": {
            version: "1.1.0",
            async signMessage({ account, message }) {
              wallet.calls.push("signMessage");
              const text = new TextDecoder().decode(message);
              if (config.refuses) throw config.refuses;
              if (config.spoils) message[0] ^= 1;
              const answer = await prompt("signMessage", { address: account.address, text });
              if (config.answers === "raw") return answer;
              const { signature, signed } = answer;
              const signedMessage = signed === undefined ? message : new TextEncoder().encode(signed);
              return [{ signedMessage, signature: Uint8Array.from(signature) }];
            },
          },
        },
      };
      wallet.arrive = () => {
        const register = ({ register }) => register(standard);
        window.dispatchEvent(new CustomEvent("wallet-standard:register-wallet", { detail: register }));
        window.addEventListener("wallet-standard:app-ready", ({ detail }) => register(detail));
      };
      wallet.emit = () => {
        for (const listener of Array.from(wallet.listeners.change ?? [])) listener({ accounts: accounts() });
      };
    },
  };
  families[config.kind]();
  if (config.arrive === "at once") wallet.arrive();
})
