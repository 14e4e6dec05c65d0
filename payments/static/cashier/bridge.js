// The way from a page into the payment sheet of the app on the phone, as its channel declares it.

/**
 * What a channel says of the app: payments/channels/wallets.py explains each name.
 * @typedef {object} Bridge
 * @property {string} object
 * @property {string} ready_event
 * @property {string} method
 * @property {string} call
 * @property {string[]} parameters
 * @property {string} answer
 * @property {Record<string, "ok" | "cancel" | "fail">} outcomes
 * @property {"ok" | "cancel" | "fail"} otherwise
 */

/** @param {{ agent: string, bridge: Bridge | null }} wallet the app that pays; without a bridge none ever comes */
export function bridgeOf({ agent, bridge }) {
  const find = () => bridge && window[bridge.object];
  const isHere = () => Boolean(find());
  /** @param {() => void} then called when the bridge comes */
  const onReady = (then) => bridge && document.addEventListener(bridge.ready_event, then, { once: true });
  return {
    /** Whether this is the app's own browser. A bridge comes with it, though not always at once. */
    isExpected: () => navigator.userAgent.toLowerCase().includes(agent.toLowerCase()),
    isHere,
    onReady,
    /**
     * Wait for the bridge.
     * @param {number} waitMs
     * @returns {Promise<boolean>} whether it is here
     */
    within(waitMs) {
      if (isHere() || waitMs === 0 || !bridge) {
        return Promise.resolve(isHere());
      }
      return new Promise((resolve) => {
        const timer = setTimeout(() => resolve(isHere()), waitMs);
        onReady(() => {
          clearTimeout(timer);
          resolve(isHere());
        });
      });
    },
    /**
     * Open the payment sheet.
     * @param {Record<string, string>} given by the server a moment ago
     * @returns {Promise<"ok" | "cancel" | "fail">} how the sheet was left; "ok" proves nothing, only the server knows
     */
    openSheet: (given) =>
      new Promise((resolve) => {
        const parameters = Object.fromEntries(bridge.parameters.map((name) => [name, given[name]]));
        find()[bridge.method](bridge.call, parameters, (result) => {
          const said = String(result?.[bridge.answer] ?? "");
          resolve(Object.hasOwn(bridge.outcomes, said) ? bridge.outcomes[said] : bridge.otherwise);
        });
      }),
  };
}
