// A line of a log as the page takes it: an object whose known keys are of their kind, whatever was
// written. Our own lines are; another tool's may be anything, and none of them may stop the page.

/** What a Date can hold. */
const LATEST = 8.64e15;
/** Deeper than any line of ours; what walks through a line does so by calling itself. */
const DEEPEST = 100;
const TOO_DEEP = 'nested too deeply to be shown';
/** Characters of a line that is no object. */
const MOST_TEXT = 8192;
/** What the daemon takes a type from without looking at the rest of the line. */
const HEAD = /^\{(?:"invocationId":\d+,)?"ts":\d+,"type":"([\w.-]{1,63})"/;

const TEXTS = [
  'type', 'name', 'cmd', 'callId', 'parentCallId', 'msg', 'message', 'reason', 'error', 'outcome', 'role', 'provider', 'model',
  'mode', 'cwd', 'sessionId', 'providerVersion', 'stream', 'level', 'signal',
];
const TOKENS = ['inputTokens', 'outputTokens', 'cachedInputTokens', 'cacheCreationTokens', 'totalCostUsd'];
const NUMBERS = ['ts', 'duration', 'exitCode', 'delay', 'attempt', 'leftovers', 'truncatedBytes', ...TOKENS];

/** The line that the data of an event is. */
export function parseLine(data) {
  let value;
  try {
    value = JSON.parse(data);
  } catch {
    return odd(data);
  }
  return asLine(value, data);
}

/**
 * The line that a value is, with an empty type where it has none.
 * @param {any} value @param {string} [text] what it was read from, where that is at hand
 */
export function asLine(value, text) {
  if (!isObject(value)) return odd(text ?? 'no event');
  if (isDeep(value, DEEPEST)) return asLine({ ts: flat(value.ts), type: flat(value.type), msg: TOO_DEEP, data: TOO_DEEP });
  const line = typed(value, TEXTS, NUMBERS);
  if (line.usage !== undefined) line.usage = isObject(line.usage) ? typed(line.usage, [], TOKENS) : undefined;
  if (Math.abs(line.ts) > LATEST) line.ts = undefined;
  line.type ??= '';
  return line;
}

/** An object of the gateway's own; null of what is none. */
export function parseObject(data) {
  try {
    const value = JSON.parse(data);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function odd(text) {
  const shown = text.slice(0, MOST_TEXT);
  return { type: HEAD.exec(text)?.[1] ?? '', msg: shown, data: shown };
}

/** A copy in which these keys are texts or numbers, or are not there. */
function typed(value, texts, numbers) {
  const object = { ...value };
  for (const key of texts) {
    const item = object[key];
    if (typeof item === 'string' || item === undefined) continue;
    object[key] = item === null ? undefined : JSON.stringify(item);
  }
  // What has no type for the daemon, and so for the filter, has none here.
  if (typeof value.type !== 'string' || !['number', 'undefined'].includes(typeof (value.ts ?? undefined))) object.type = undefined;
  for (const key of numbers) if (!Number.isFinite(object[key])) object[key] = undefined;
  return object;
}

function isObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** What can be walked through is no time and no type, whatever is in it. */
function flat(item) {
  return isObject(item) || Array.isArray(item) ? false : item;
}

function isDeep(value, left) {
  if (value === null || typeof value !== 'object') return false;
  if (left === 0) return true;
  for (const key in value) if (isDeep(value[key], left - 1)) return true;
  return false;
}
