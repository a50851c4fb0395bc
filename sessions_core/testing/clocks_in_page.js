/* Lets a test move the clocks of a page: `sessionsTestClocks.advance(ms)` moves the time of day and the monotonic clock,
   and runs the timers that are due by then. Run before the page's own scripts. */
(function () {
  if (window.sessionsTestClocks) return;
  const [setReal, clearReal] = [window.setTimeout.bind(window), window.clearTimeout.bind(window)];
  const [monotonic, wall] = [performance.now.bind(performance), Date.now];
  const timers = new Map();
  let ahead = 0;
  performance.now = () => monotonic() + ahead;
  Date.now = () => wall() + ahead;
  window.setTimeout = (run, ms = 0, ...values) => {
    const fire = () => {
      timers.delete(id);
      clearReal(id);
      if (typeof run === "function") run(...values);
    };
    const id = setReal(fire, ms);
    timers.set(id, { due: performance.now() + Number(ms || 0), fire });
    return id;
  };
  window.clearTimeout = (id) => {
    timers.delete(id);
    clearReal(id);
  };
  const advance = (ms) => {
    ahead += ms;
    const due = Array.from(timers.values()).filter((timer) => timer.due <= performance.now());
    for (const { fire } of due.sort((one, other) => one.due - other.due)) fire();
  };
  window.sessionsTestClocks = { advance };
})();
