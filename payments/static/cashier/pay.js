// The page of a printed code: an amount is typed and becomes an order. What was typed travels as text.

import { amountProblem, typed } from "./amount.js";

const ANSWER_WITHIN_MS = 20_000;
const SHORT_LENGTH_MAX = 7; // what fits into the field at its largest
// Nothing to say while somebody is still typing.
const NOT_YET = new Set(["", "0", "0.", "0.0"]);
const NEEDS_NEW_PAGE = new Set(["PAYER_UNKNOWN", "CSRF_FAILED", "INVALID_REQUEST", "NOT_FOUND"]);

const config = JSON.parse(document.getElementById("config").textContent);
const form = document.getElementById("form");
const field = document.getElementById("field");
const amount = document.getElementById("amount");
const payButton = document.getElementById("pay");
const problem = document.getElementById("problem");
const reload = document.getElementById("reload");

if (window.matchMedia("(pointer: coarse)").matches) {
  amount.inputMode = "none"; // the page has its own keys; the phone's would cover them
}

for (const key of document.querySelectorAll("[data-key]")) {
  key.addEventListener("click", () => {
    amount.value = typed(amount.value, key.dataset.key);
    sayWhileTyping();
  });
}
amount.addEventListener("input", sayWhileTyping);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  placeOrder();
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    location.reload(); // a page out of the history has an attempt that may be used up
  }
});

/** @param {string} text */
function say(text) {
  if (problem.textContent !== text) {
    problem.textContent = text;
  }
  amount.setAttribute("aria-invalid", String(text !== ""));
}

function sayWhileTyping() {
  field.classList.toggle("long", amount.value.length > SHORT_LENGTH_MAX);
  const isOpen = NOT_YET.has(amount.value) || amount.value.endsWith(".");
  const reason = isOpen ? "" : amountProblem(amount.value, config.max_fen);
  say(reason && config.amount_words[reason]);
}

async function placeOrder() {
  const reason = amountProblem(amount.value, config.max_fen);
  if (reason) {
    say(config.amount_words[reason]);
    return;
  }
  say("");
  payButton.disabled = true;
  try {
    await send();
  } catch {
    // No answer: the order may exist. The next tap has the same attempt, so it finds the same order.
    say(config.no_network);
  } finally {
    payButton.disabled = false;
  }
}

async function send() {
  const response = await fetch(config.orders_url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": config.csrf_token },
    body: JSON.stringify({ amount: amount.value, attempt: config.attempt }),
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  if (!response.headers.get("Content-Type")?.includes("json")) {
    say(config.server_down);
    return;
  }
  const answer = await response.json();
  if (response.ok) {
    location.assign(`${answer.cashier_url}#pay`);
    return;
  }
  config.attempt = answer.attempt ?? config.attempt;
  reload.hidden = !NEEDS_NEW_PAGE.has(answer.code);
  say(answer.detail);
}
