// Makes an agent's text inert for reading: escape sequences go, other control bytes and marks that
// reorder what stands on a line become visible names. What is hidden in a command must be seen.
// A sequence that does not end loses its introducer only, so that it hides nothing of what follows.

// CSI; OSC, DCS, SOS, PM and APC with their end; two-byte sequences; an introducer without either.
const SEQUENCES =
  /\u001b(?:\[[\u0020-\u003f]{0,4096}[\u0040-\u007e]|[\]PX^_][^\u0007\u001b]{0,4096}(?:\u0007|\u001b\\)|[\u0020-\u002f][\u0030-\u007e]|[\u0030-\u005a\u005c\u0060-\u007e])?/g;
const ACTIVE =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const NEEDS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/;

/** @param {unknown} text @returns {string} */
export function clean(text) {
  const string = typeof text === 'string' ? text : asText(text);
  if (!NEEDS.test(string)) return string;
  return string.replace(SEQUENCES, '').replace(/\r\n?/g, '\n').replace(ACTIVE, shown);
}

/** What another tool wrote in the place of a text; an object may have no way to become one by itself. */
function asText(value) {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** As {@link clean}, on one line. */
export function cleanLine(text) {
  return clean(text).replace(/\s*\n\s*/g, ' ⏎ ').replace(/\t/g, ' ').trim();
}

function shown(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '\u2421';
  return `\\u{${code.toString(16)}}`;
}
