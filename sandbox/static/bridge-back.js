// The end of a sheet that bridge.js has opened: tell the merchant's page how it was left.
const asked = new URL(location.href).searchParams;
window.opener?.postMessage({ pay: asked.get("pay") ?? "fail" }, asked.get("to") ?? location.origin);
