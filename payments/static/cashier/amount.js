// The server's rules for an amount, for a quick answer while typing. The server decides: payments/money.py.
// An amount stays text. The only number made of it is a whole count of fen, far below 2^53.

const PLAIN = /^(-?)([0-9]+)(?:\.([0-9]+))?$/;
const EXPONENT = /^-?[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]+$/;
const NOT_FINITE = /^[+-]?(?:nan|inf|infinity)$/i;
const LITERAL_LENGTH_MAX = 40;
const WHOLE_DIGITS_MAX = 12;
const KEYPAD_LENGTH_MAX = 13;
// More digits than anybody types: what a calculator left. The server knows how to read it.
const LEFT_TO_SERVER = 12;

/**
 * Why the server would refuse this amount.
 * @param {string} literal what was typed, yuan
 * @param {number} maxFen the largest amount, fen
 * @returns {string} the reason's name, or "" when it looks right
 */
export function amountProblem(literal, maxFen) {
  const parts = literal.length <= LITERAL_LENGTH_MAX ? PLAIN.exec(literal) : null;
  if (!parts) {
    return malformed(literal);
  }
  const [, sign, whole, fraction = ""] = parts;
  if (sign) {
    return /[1-9]/.test(literal) ? "AMOUNT_NEGATIVE" : "AMOUNT_NEGATIVE_ZERO";
  }
  if (fraction.length >= LEFT_TO_SERVER) {
    return "";
  }
  if (/[1-9]/.test(fraction.slice(2))) {
    return "AMOUNT_HAS_PART_OF_FEN";
  }
  const digits = whole.replace(/^0+/, "");
  const fen = Number(digits + fraction.padEnd(2, "0").slice(0, 2));
  if (digits.length > WHOLE_DIGITS_MAX || fen > maxFen) {
    return "AMOUNT_TOO_LARGE";
  }
  return fen === 0 ? "AMOUNT_ZERO" : "";
}

/** @param {string} literal */
function malformed(literal) {
  if (EXPONENT.test(literal)) {
    return "AMOUNT_HAS_EXPONENT";
  }
  return NOT_FINITE.test(literal) ? "AMOUNT_NOT_FINITE" : "AMOUNT_MALFORMED";
}

/**
 * The text after one key of the page's own keypad; a key that makes no sense changes nothing.
 * @param {string} text
 * @param {string} key a digit, "." or "back"
 * @returns {string}
 */
export function typed(text, key) {
  if (key === "back") {
    return text.slice(0, -1);
  }
  if (key === ".") {
    return text.includes(".") ? text : `${text || "0"}.`;
  }
  const isFull = /\.[0-9]{2}$/.test(text) || text.length >= KEYPAD_LENGTH_MAX;
  if (isFull) {
    return text;
  }
  return text === "0" ? key : text + key;
}
