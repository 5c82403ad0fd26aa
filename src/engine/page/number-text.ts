/**
 * Numbers as Prometheus pages spell them.
 *
 * @module
 */
const zero = 0x30;
const nine = 0x39;
const point = 0x2e;
/** Beyond this many digits the sum below is no longer exact and the runtime must parse. */
const exactDigits = 15;
// Digits behind a point only where there is one: else each digit of a long text is tried as the first.
const decimal = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
const hexadecimal = /^([+-]?)0x([\da-f]*)(?:\.([\da-f]*))?(?:p([+-]?\d+))?$/i;
const infinity = /^([+-]?)inf(inity)?$/i;

/**
 * A number as Go's `ParseFloat` reads it, which is what the exposition format refers to.
 *
 * @returns NaN for `NaN`, `undefined` for what is no number.
 */
export function parseNumber(text: string): number | undefined {
  if (decimal.test(text)) return Number(text);
  if (/^[+-]?nan$/i.test(text)) return Number.NaN;
  const infinite = infinity.exec(text);
  if (infinite !== null) return infinite[1] === "-" ? -Infinity : Infinity;
  return parseHexadecimal(text);
}

function parseHexadecimal(text: string): number | undefined {
  const [, sign, whole = "", fraction = "", exponent = "0"] = hexadecimal.exec(text) ?? [];
  if (sign === undefined || whole + fraction === "") return undefined;
  const mantissa = Number.parseInt(whole + fraction, 16) / 16 ** fraction.length;
  return (sign === "-" ? -1 : 1) * mantissa * 2 ** Number(exponent);
}

/**
 * The same, straight from bytes: most values are short decimals and then cost no string.
 */
export function parseNumberBytes(bytes: Buffer, start: number, end: number): number | undefined {
  return exactDecimal(bytes, start, end) ?? parseNumber(bytes.toString("latin1", start, end));
}

/** Digits with at most one point; few enough that the sum and the one division are exact. */
function exactDecimal(bytes: Buffer, start: number, end: number): number | undefined {
  let digits = 0;
  let decimals = -1;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === point && decimals < 0) decimals = 0;
    else if (byte < zero || byte > nine) return undefined;
    else {
      value = value * 10 + (byte - zero);
      digits += 1;
      if (decimals >= 0) decimals += 1;
    }
  }
  if (digits === 0 || digits > exactDigits) return undefined;
  return decimals > 0 ? value / 10 ** decimals : value;
}
