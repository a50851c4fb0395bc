/* Runs before the page's own scripts and plays one wallet. What a person would be asked in the
   wallet's window waits in a queue, until the test answers. */
(function (config) {
  if (window.top !== window) return;
  const wallet = {
    accounts: config.accounts,
    connected: config.connected,
    chainId: config.chainId,
    queue: [],
    listeners: {},
    calls: [],
  };
  let last = 0;
  const prompts = new Set(["eth_requestAccounts", "personal_sign", "wallet_switchEthereumChain", "wallet_requestPermissions"]);

  const provider = {
    request({ method, params }) {
      wallet.calls.push(method);
      // The extension was updated: what is left of it in this page throws, or waits for ever.
      if (wallet.cutOff === "throws") return Promise.reject(new Error("Extension context invalidated."));
      if (wallet.cutOff === "silent" || config.deaf.includes(method)) return new Promise(() => {});
      if (method in config.quirks) {
        const quirk = config.quirks[method];
        return quirk.error ? Promise.reject(quirk.error) : Promise.resolve(quirk.result);
      }
      if (method === "eth_chainId") return Promise.resolve(wallet.chainId);
      if (method === "eth_accounts") return Promise.resolve(wallet.connected ? wallet.accounts : []);
      if (method === "eth_requestAccounts" && wallet.connected) return Promise.resolve(wallet.accounts);
      if (!prompts.has(method)) return Promise.reject({ code: 4200, message: "Unsupported method" });
      return new Promise((resolve, reject) => {
        wallet.queue.push({ number: ++last, at: performance.now(), method, params: params ?? [], resolve, reject });
      });
    },
    on(event, listener) {
      (wallet.listeners[event] ??= new Set()).add(listener);
    },
    removeListener(event, listener) {
      wallet.listeners[event]?.delete(listener);
    },
  };

  wallet.take = (method) => {
    const index = wallet.queue.findIndex((request) => !method || request.method === method);
    if (index < 0) return null;
    const [request] = wallet.queue.splice(index, 1);
    (wallet.open ??= new Map()).set(request.number, request);
    return { number: request.number, method: request.method, params: request.params };
  };
  /* `after`: so many milliseconds after the question at the earliest, since people read first. */
  wallet.settle = (number, { after = 0, ...answer }) => {
    const request = wallet.open.get(number);
    wallet.open.delete(number);
    const settle = () => ("error" in answer ? request.reject(answer.error) : request.resolve(answer.result));
    const early = request.at + after - performance.now();
    if (early > 0) setTimeout(settle, early);
    else settle();
  };
  wallet.emit = (event, value) => {
    for (const listener of Array.from(wallet.listeners[event] ?? [])) listener(value);
  };
  /* The new network shows after so many milliseconds only, and without an event. */
  wallet.switchLate = (chainId, ms) => setTimeout(() => { wallet.chainId = chainId; }, ms);
  wallet.announce = (info = config.info, other) => {
    const detail = Object.freeze({ info: Object.freeze({ ...info }), provider: other ?? provider });
    window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
  };
  wallet.imitate = (info) => wallet.announce(info, new Proxy(provider, {}));
  (window.walletsInPage ??= {})[config.key] = wallet;

  if (config.legacy) {
    // After so many milliseconds and without an event, as apps on phones do it.
    wallet.arrive = () => { window.ethereum = provider; };
    if (config.late === 0) wallet.arrive();
    else if (config.late > 0) setTimeout(wallet.arrive, config.late);
  } else if (config.announce === "at once") {
    window.addEventListener("eip6963:requestProvider", () => wallet.announce());
    wallet.announce();
  }
})
