// Stands in for the bridges that WeChat's and Alipay's own browsers bring along: include it in a page during development,
// and the same code that pays in their apps opens the sandbox's phone in a window of its own.
(() => {
  const base = new URL(document.currentScript.src).origin;
  const LOOK_EVERY_MS = 300;

  /** Open a sheet of the phone; `then` gets "ok", "cancel" or "fail". A window that is closed by hand is a "cancel". */
  function open(path, parameters, then) {
    const back = `${base}/phone/bridge?to=${encodeURIComponent(location.origin)}`;
    const query = new URLSearchParams({ ...parameters, redirect: back });
    const sheet = window.open(`${base}${path}?${query}`, "_blank", "width=400,height=760");
    let timer = 0;
    const end = (outcome) => {
      clearInterval(timer);
      window.removeEventListener("message", hear);
      sheet?.close();
      then(outcome);
    };
    function hear(event) {
      if (event.origin === base && event.source === sheet) {
        end(event.data.pay);
      }
    }
    if (!sheet) {
      then("fail");
      return;
    }
    window.addEventListener("message", hear);
    timer = setInterval(() => sheet.closed && end("cancel"), LOOK_EVERY_MS);
  }

  window.WeixinJSBridge ??= {
    invoke(name, parameters, then) {
      if (name === "getBrandWCPayRequest") {
        open("/phone/wechatpay/jsapi", parameters, (outcome) => then({ err_msg: `get_brand_wcpay_request:${outcome}` }));
      }
    },
  };
  window.AlipayJSBridge ??= {
    call(name, parameters, then) {
      const codes = { ok: "9000", cancel: "6001", fail: "4000" };
      if (name === "tradePay") {
        open("/phone/alipay/trade", parameters, (outcome) => then({ resultCode: codes[outcome] }));
      }
    },
  };
  for (const name of ["WeixinJSBridgeReady", "AlipayJSBridgeReady"]) {
    document.dispatchEvent(new Event(name));
  }
})();
