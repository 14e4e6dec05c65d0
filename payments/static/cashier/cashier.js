// The page of one order. It shows what the server knows; what the phone says only changes what we say meanwhile.

import { bridgeOf } from "./bridge.js";
import { keepAsking } from "./poll.js";

const ANSWER_WITHIN_MS = 8_000;
const BRIDGE_WITHIN_MS = 5_000;
const SHEET_FORGOTTEN_MS = 60_000;
const SOON_MS = [1_000, 1_000, 1_500, 2_000, 3_000, 5_000, 8_000, 10_000];
const CALM_MS = [3_000, 3_000, 5_000, 8_000, 10_000, 15_000];
const SCAN_MS = [...Array(60).fill(2_000), 5_000, 10_000];
const SOON = new Set(["preparing", "confirming", "unknown", "closing"]);
const OVER_UNPAID = new Set(["stale", "failed", "closed", "expired"]);
const PAID = new Set(["paid", "late"]);

const config = JSON.parse(document.getElementById("config").textContent);
const bridge = bridgeOf(config.wallet);
const element = Object.fromEntries(
  ["card", "title", "detail", "pay", "again", "qr", "notice", "paid", "paid-at", "switch"].map((id) => [
    id,
    document.getElementById(id),
  ]),
);

/** What the server said last. */
let known = config.known;
/** How the payment sheet was left: "ok", "cancel", "fail" or "". It stays in the address, so a reload keeps it. */
let said = new URL(location.href).searchParams.get("pay") ?? "";
let isPaying = false;
let isOutside = !bridge.isExpected() && !bridge.isHere() && !config.is_sandbox;
/** The payer has tapped "pay" on the page before this one. */
let startsByItself = location.hash === "#pay" && said === "";
let asked = 0;
let heard = 0;

/** What to show for what the server knows and what this phone has just seen. */
function look() {
  if (PAID.has(known.look)) {
    return known.look;
  }
  if (said === "ok") {
    return OVER_UNPAID.has(known.look) && known.look !== "stale" ? "contradicted" : "confirming";
  }
  if (known.look !== "ready") {
    return known.look;
  }
  if (isPaying) {
    return "paying";
  }
  if (isOutside) {
    return "outside";
  }
  return { cancel: "cancelled", fail: "declined" }[said] ?? "ready";
}

function render() {
  const now = look();
  const words = config.words[now];
  element.card.dataset.look = now;
  put(element.title, words.title);
  put(element.detail, words.detail);
  put(element.pay, words.button);
  element.pay.hidden = words.button === "" || (now === "scan" && !config.is_sandbox);
  element.again?.toggleAttribute("hidden", !OVER_UNPAID.has(now));
  element.qr.hidden = now !== "scan";
  if (now === "scan" && !element.qr.src) {
    element.qr.src = config.qr_url;
  }
  element.paid.hidden = known.paid_at === "";
  put(element["paid-at"], known.paid_at);
  document.title = `${words.title} · ${element.card.dataset.merchant}`;
}

/** Only what differs: a screen reader would read it out again. */
function put(target, text) {
  if (target.textContent !== text) {
    target.textContent = text;
  }
}

/** @returns {Promise<object | null>} the server's newest word, or null when it cannot be heard */
async function refresh() {
  const mine = ++asked;
  try {
    const response = await fetch(config.state_url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    const answer = response.ok ? await response.json() : null;
    if (answer && mine > heard) {
      heard = mine; // an answer that comes after a newer one is old news
      known = answer;
    }
    put(element.notice, answer ? "" : config.no_network);
    render();
    return answer;
  } catch {
    put(element.notice, config.no_network);
    return null;
  }
}

async function ask() {
  await refresh();
  if (startsByItself && known.look === "ready") {
    startsByItself = false;
    pay();
  }
  return known.may_change || look() === "contradicted";
}

function delaysMs() {
  const now = look();
  if (SOON.has(now)) {
    return SOON_MS;
  }
  return now === "scan" ? SCAN_MS : CALM_MS;
}

async function pay() {
  element.pay.disabled = true;
  try {
    const hasBridge = await bridge.within(bridge.isExpected() ? BRIDGE_WITHIN_MS : 0);
    const fresh = await refresh(); // signed for this very tap
    if (fresh?.pay) {
      await openPayment(fresh, { hasBridge });
    }
  } finally {
    element.pay.disabled = false;
  }
}

async function openPayment(fresh, { hasBridge }) {
  if (fresh.pay.h5_url) {
    location.assign(fresh.pay.h5_url); // the browser's way into the app; it comes back to this page
  } else if (hasBridge && fresh.look === "ready") {
    await payByBridge(fresh.pay);
  } else if (fresh.pay.pay_url && bridge.isExpected()) {
    location.assign(fresh.pay.pay_url); // the app itself takes over, and comes back to this page
  } else if (fresh.sandbox_url) {
    location.assign(fresh.sandbox_url);
  } else {
    isOutside = true;
    render();
  }
}

async function payByBridge(parameters) {
  remember("");
  isPaying = true;
  render();
  // A sheet that was swiped away may never answer.
  const forgotten = setTimeout(endPaying, SHEET_FORGOTTEN_MS);
  const outcome = await bridge.openSheet(parameters);
  clearTimeout(forgotten);
  remember(outcome);
  endPaying();
  polling.hurry();
}

function endPaying() {
  isPaying = false;
  element.pay.disabled = false;
  render();
}

/** @param {string} outcome kept in the address and in the language link */
function remember(outcome) {
  said = outcome;
  for (const [url, write] of [
    [new URL(location.href), (url) => history.replaceState(null, "", url)],
    [new URL(element.switch.href), (url) => (element.switch.href = url)],
  ]) {
    url.hash = "";
    outcome ? url.searchParams.set("pay", outcome) : url.searchParams.delete("pay");
    write(url);
  }
}

element.pay.addEventListener("click", pay);
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    location.reload();
  }
});
bridge.onReady(() => {
  isOutside = false;
  render();
});
if (location.hash) {
  history.replaceState(null, "", location.pathname + location.search);
}
render();
const polling = keepAsking({ ask, delaysMs });
polling.hurry();
