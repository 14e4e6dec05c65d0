// The bridges from a page into the payment sheets of the apps on the phone.
// Sources: pay.weixin.qq.com/doc/v3/merchant/4012791857, myjsapi.alipay.com/alipayjsapi/util/pay/tradePay.html

const WECHATPAY = {
  agent: /MicroMessenger/i,
  readyEvent: "WeixinJSBridgeReady",
  find: () => window.WeixinJSBridge,
  open: (bridge, parameters, left) =>
    bridge.invoke("getBrandWCPayRequest", parameters, (result) => {
      const said = /^get_brand_wcpay_request:(ok|cancel)$/.exec(result?.err_msg ?? "");
      left(said ? said[1] : "fail");
    }),
};

// 8000, 6002, 6004 and 99 do not say whether the payer has paid: like 9000 they let the page ask the server.
const ALIPAY_SAYS = { 4000: "fail", 6001: "cancel" };
const ALIPAY = {
  agent: /AlipayClient/i,
  readyEvent: "AlipayJSBridgeReady",
  find: () => window.AlipayJSBridge,
  open: (bridge, parameters, left) =>
    bridge.call("tradePay", { tradeNO: parameters.tradeNO }, (result) =>
      left(ALIPAY_SAYS[String(result?.resultCode ?? "")] ?? "ok"),
    ),
};

const BRIDGES = { wechatpay: WECHATPAY, alipay: ALIPAY };

/** @param {string} channel whose bridge */
export function bridgeOf(channel) {
  const kind = BRIDGES[channel] ?? WECHATPAY;
  const isHere = () => typeof kind.find() !== "undefined";
  /** @param {() => void} then called when the bridge comes */
  const onReady = (then) => document.addEventListener(kind.readyEvent, then, { once: true });
  return {
    /** Whether this is the app's own browser, which brings the bridge, though not always at once. */
    isExpected: () => kind.agent.test(navigator.userAgent),
    isHere,
    onReady,
    /**
     * Wait for the bridge.
     * @param {number} waitMs
     * @returns {Promise<boolean>} whether it is here
     */
    within(waitMs) {
      if (isHere() || waitMs === 0) {
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
     * @param {Record<string, string>} parameters given by the server a moment ago
     * @returns {Promise<"ok" | "cancel" | "fail">} how the sheet was left; "ok" proves nothing, only the server knows
     */
    openSheet: (parameters) => new Promise((resolve) => kind.open(kind.find(), parameters, resolve)),
  };
}
