// WeChat's own bridge into its payment sheet.
// Source: pay.weixin.qq.com/doc/v3/merchant/4012791857

const READY_EVENT = "WeixinJSBridgeReady";
const OUTCOME = /^get_brand_wcpay_request:(ok|cancel)$/;

/** Whether this is WeChat's own browser, which brings the bridge, though not always at once. */
export function inWechat() {
  return /MicroMessenger/i.test(navigator.userAgent);
}

/** @returns {boolean} */
export function bridgeIsHere() {
  return typeof window.WeixinJSBridge !== "undefined";
}

/** @param {() => void} then called when the bridge comes */
export function onBridge(then) {
  document.addEventListener(READY_EVENT, then, { once: true });
}

/**
 * Wait for the bridge.
 * @param {number} waitMs
 * @returns {Promise<boolean>} whether it is here
 */
export function bridgeWithin(waitMs) {
  if (bridgeIsHere() || waitMs === 0) {
    return Promise.resolve(bridgeIsHere());
  }
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(bridgeIsHere()), waitMs);
    onBridge(() => {
      clearTimeout(timer);
      resolve(bridgeIsHere());
    });
  });
}

/**
 * Open the payment sheet.
 * @param {Record<string, string>} parameters signed by the server a moment ago
 * @returns {Promise<"ok" | "cancel" | "fail">} how the sheet was left; "ok" proves nothing, only the server knows
 */
export function openSheet(parameters) {
  return new Promise((resolve) => {
    window.WeixinJSBridge.invoke("getBrandWCPayRequest", parameters, (result) => {
      const said = OUTCOME.exec(result?.err_msg ?? "");
      resolve(said ? /** @type {"ok" | "cancel"} */ (said[1]) : "fail");
    });
  });
}
