/* Runs before the page's own scripts and plays one signer (ICRC-94). What a person would be asked in its window waits
   until the test answers. */
(function (info) {
  if (window.top !== window) return;
  const signer = { waiting: null, dismissed: 0 };
  signer.asked = (method) => (signer.waiting?.message.method === method ? signer.waiting.message : null);
  signer.settle = (answer) => {
    const { resolve } = signer.waiting;
    signer.waiting = null;
    resolve(answer);
  };
  const detail = Object.freeze({
    ...info,
    sendMessage: (message) => new Promise((resolve) => { signer.waiting = { message, resolve }; }),
    dismiss: async () => { signer.dismissed += 1; },
  });
  (window.signersInPage ??= {})[info.uuid] = signer;
  const announce = () => window.dispatchEvent(new CustomEvent("icrc94:announceProvider", { detail }));
  window.addEventListener("icrc94:requestProvider", announce);
})
