// One row of the activity panel: a line of the log, and for a tool call its result. Long texts are
// kept by their beginning only; the whole is read again when somebody opens the row.

const MOST_TEXT = 8192;
const MOST_RESULT_TEXT = 2048;

export class Row {
  /** The line of the tool's result, once there is one. @type {any} */
  result = null;
  /** For a result that is a row of its own: the line of its call. @type {any} */
  tool = null;
  /** Grows with every change, so that what is drawn knows it is stale. */
  version = 0;
  /** Measured height; 0: not measured. */
  height = 0;
  /** Something was cut off here. */
  cut = false;
  /** Whether its result, or its call, has been asked for. */
  asked = false;

  /**
   * @param {string} cursor behind the line @param {string} before in front of it
   * @param {any} line @param {boolean} live whether it came while we looked: then so will a call's result
   */
  constructor(cursor, before, line, live) {
    this.cursor = cursor;
    this.before = before;
    this.ts = line.ts;
    this.type = line.type;
    this.asked = live && line.type === 'tool';
    this.line = this.#shorten(line, MOST_TEXT);
  }

  get characters() {
    return 400 + size(this.line) + (this.result ? size(this.result) : 0);
  }

  finish(result, whole = false) {
    this.result = whole ? result : this.#shorten(result, MOST_RESULT_TEXT);
    this.version += 1;
  }

  belongTo(tool) {
    this.tool = this.#shorten(tool, MOST_RESULT_TEXT);
    this.version += 1;
  }

  /** Takes the line as it is in the log. */
  replace(line) {
    this.line = line;
    this.cut = false;
    this.version += 1;
  }

  /** Gives up what is too long to keep while nobody reads it. */
  fold() {
    this.line = this.#shorten(this.line, MOST_TEXT);
    if (this.result) this.result = this.#shorten(this.result, MOST_RESULT_TEXT);
    this.version += 1;
  }

  /** `running`, `ok` or `failed` of a tool; of one without a result whose run is over: `unknown`. */
  state(ended) {
    if (this.type === 'tool_result') return this.line.ok === false ? 'failed' : 'ok';
    if (this.type !== 'tool') return undefined;
    if (this.result) return this.result.ok === false ? 'failed' : 'ok';
    return ended ? 'unknown' : 'running';
  }

  #shorten(line, most) {
    let shortened = line;
    for (const [key, value] of Object.entries(line)) {
      if (size(value) <= most) continue;
      if (shortened === line) shortened = { ...line };
      // A substring would keep the whole text alive.
      shortened[key] = typeof value === 'string' ? copy(value.slice(0, most)) : shortObject(value, most);
      this.cut = true;
    }
    return shortened;
  }
}

function shortObject(value, most) {
  if (Array.isArray(value)) return value.slice(0, 200);
  const entries = Object.entries(value).map(([key, item]) =>
    typeof item === 'string' ? [key, copy(item.slice(0, most / 4))] : [key, size(item) > most ? '…' : item]);
  return Object.fromEntries(entries.slice(0, 64));
}

function copy(text) {
  return JSON.parse(JSON.stringify(text));
}

/** Characters, roughly. */
function size(value) {
  if (typeof value === 'string') return value.length;
  if (value === null || typeof value !== 'object') return 8;
  let sum = 0;
  for (const key in value) sum += key.length + size(value[key]);
  return sum;
}
