// @ts-check
/**
 * A React provider and a hook over a `SessionManager`. React is passed in, so the page's own copy is used:
 *
 *     const { SessionProvider, useSession } = createSessionReact(React);
 *
 * The module touches no DOM.
 */

/** @typedef {import("./session-manager.js").SessionManager} SessionManager */

/**
 * @param {any} React version 18 or later: `createContext`, `createElement`, `useContext`, `useEffect`, `useMemo` and
 *   `useSyncExternalStore` are used
 */
export function createSessionReact(React) {
  const SessionContext = React.createContext(null);

  /** Starts the manager, and gives it to the components below. @param {{manager: SessionManager, children?: any}} props */
  function SessionProvider({ manager, children }) {
    React.useEffect(() => { manager.start(); }, [manager]);
    return React.createElement(SessionContext.Provider, { value: manager }, children);
  }

  /**
   * The session as the server last said it, and what can be done with it. The component renders again when it changes.
   * @returns {import("./session-manager.js").Snapshot & {manager: SessionManager}
   *   & Pick<SessionManager, "createSession" | "refreshSession" | "keepSessionAlive" | "isSessionActive" | "logout">}
   */
  function useSession() {
    /** @type {SessionManager | null} */
    const manager = React.useContext(SessionContext);
    if (!manager) throw new Error("useSession must be used within SessionProvider");
    /** @type {import("./session-manager.js").Snapshot} */
    const snapshot = React.useSyncExternalStore(manager.subscribe, manager.getSnapshot, manager.getSnapshot);
    return React.useMemo(() => ({
      ...snapshot,
      manager,
      createSession: manager.createSession.bind(manager),
      refreshSession: manager.refreshSession.bind(manager),
      keepSessionAlive: manager.keepSessionAlive.bind(manager),
      isSessionActive: manager.isSessionActive.bind(manager),
      logout: manager.logout.bind(manager),
    }), [manager, snapshot]);
  }

  return { SessionProvider, useSession };
}
