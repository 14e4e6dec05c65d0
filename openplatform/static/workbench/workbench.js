// The signature workbench. It sends what was pasted to our own server and shows the answer, all of it as text.

const ANSWER_WITHIN_MS = 10_000;
// The server knows more forms of a private key; these do not even leave the browser.
const PRIVATE = /PRIVATE KEY/i;

const config = JSON.parse(document.getElementById("config").textContent);
const form = document.getElementById("form");
const element = Object.fromEntries(
  ["check", "example", "problem", "result", "empty", "verdict", "detail", "checks", "differences", "string", "size",
    "message", "read", "parameters", "parts"].map((id) => [id, document.getElementById(id)]),
);

/** @returns {HTMLElement} an element with this text in it; never markup */
function make(tag, { text = "", kind = "", data = {} } = {}, ...children) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) {
    made.className = kind;
  }
  Object.assign(made.dataset, data);
  made.append(...children);
  return made;
}

/** What the server is asked: only fields that hold something. */
function pasted() {
  const values = Object.fromEntries(new FormData(form));
  const asked = {};
  for (const name of ["method", "target", "authorization", "app_id", "serial_no", "timestamp", "nonce", "signature"]) {
    if (values[name].trim() !== "") {
      asked[name] = values[name].trim();
    }
  }
  for (const name of ["body", "own"]) {
    if (values[name] !== "") {
      // A form sends CR LF for each line end of a text field; the field itself holds LF.
      asked[name] = { form: values[`${name}_form`], value: values[name].replaceAll("\r\n", "\n") };
    }
  }
  return asked;
}

async function check() {
  const asked = pasted();
  if (PRIVATE.test(JSON.stringify(asked))) {
    refuse(config.private_key);
    forgetPrivateKeys();
    return;
  }
  element.check.disabled = true;
  try {
    const response = await fetch(config.explain_url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(asked),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    const answer = await response.json();
    response.ok ? show(answer) : refuse(reason(answer));
  } catch {
    refuse(config.no_answer);
  } finally {
    element.check.disabled = false;
  }
}

function reason(problem) {
  const fields = problem.errors.map(({ field, reason }) => `${field}: ${reason}`);
  return fields.length > 0 ? fields.join("; ") : problem.detail;
}

function refuse(text) {
  element.problem.textContent = text;
  element.result.hidden = true;
  element.empty.hidden = false;
}

function forgetPrivateKeys() {
  for (const field of form.querySelectorAll("input, textarea")) {
    if (PRIVATE.test(field.value)) {
      field.value = "";
    }
  }
}

function show(answer) {
  element.problem.textContent = "";
  element.empty.hidden = true;
  element.result.hidden = false;
  element.result.dataset.verdict = answer.verdict.name;
  element.verdict.textContent = answer.verdict.title;
  element.detail.textContent = answer.verdict.detail;
  element.checks.replaceChildren(...answer.checks.map(checkLine));
  element.differences.replaceChildren(...answer.differences.map(difference));
  element.string.hidden = answer.message === null;
  if (answer.message !== null) {
    element.size.textContent = `${answer.message.bytes} ${config.labels.bytes}`;
    element.message.replaceChildren(...bytes(answer.message.lines));
    if (answer.message.hidden_bytes > 0) {
      element.message.append(make("i", { text: `${answer.message.hidden_bytes} ${config.labels.hidden}` }));
    }
  }
  element.read.hidden = answer.parameters.length === 0;
  element.parameters.replaceChildren(
    ...answer.parameters.map(({ name, value }) =>
      make("div", {}, make("dt", { text: name }), make("dd", { text: value })),
    ),
  );
  element.result.scrollIntoView({ block: "nearest" });
}

function checkLine({ name, title, state, why }) {
  return make(
    "li",
    { data: { state, name } },
    make("span", { text: title }),
    make("span", { text: why || config.labels[state], kind: "why" }),
  );
}

function difference({ title, where, cause, sides }) {
  const box = make("div", { kind: sides.length > 0 ? "difference" : "difference same" });
  box.append(make("h3", { text: title }), make("p", { text: where, kind: "where" }));
  if (cause) {
    box.append(make("p", { text: cause, kind: "cause" }));
  }
  for (const side of sides) {
    const found = side.hex ? `0x${side.hex}` : config.labels.end;
    box.append(
      make(
        "p",
        { kind: "side" },
        make("span", { text: `${side.label}: ${found}` }),
        make("span", { text: `${side.bytes} ${config.labels.bytes}` }),
      ),
      make("pre", { kind: "bytes", data: { side: side.name } }, ...bytes(side.lines)),
    );
  }
  return box;
}

/** Text as it is, line ends and unseen bytes as small boxes, and a new line where the bytes have one. */
function bytes(lines) {
  return lines.flatMap((spans) => spans.map(span));
}

function span({ kind, text, marked }) {
  if (kind === "text" || kind === "cut") {
    return marked ? make("mark", { text }) : document.createTextNode(text);
  }
  const box = make("b", { text, kind: [kind, marked ? "marked" : ""].join(" ").trim() });
  const broken = document.createDocumentFragment();
  broken.append(box, kind === "lf" ? "\n" : "");
  return broken;
}

function fillExample() {
  form.reset();
  for (const [name, value] of Object.entries(config.example)) {
    form.elements[name].value = value;
  }
  element.parts.open = true;
  check();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  check();
});
element.example.addEventListener("click", fillExample);
