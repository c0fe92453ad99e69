// The lines of one invocation's activity log that a filter lets through, as rows 0 to count - 1, of
// which only some chunks are in memory. An outline tells where every stride-th row is; chunks are
// read from there when rows of them are wanted, and let go again, least recently used first. Lines
// that arrive live extend it. So memory is bounded whatever the length of the log.

import { get, invocationUrl } from './api.js';
import { asLine } from './line.js';
import { matcherOf } from './line-types.js';
import { Row } from './row.js';

const MOST_PLACES = 2048;
const FEWEST_CHUNK_ROWS = 128;
const MOST_ROWS = 4096;
const MOST_CHARACTERS = 4 << 20;
const MOST_RECENT_RESULTS = 256;
const LINES_A_REQUEST = 1000;
const REST_MS = 1500;

/**
 * @typedef {{rows: Row[], extra: number, used: number, characters: number, known: number}} Chunk
 *   `known`: how many rows there were when it was read
 */

export class ActivityLog {
  count = 0;
  /** Cursor behind the last line known. */
  end = '';
  /** @type {Map<number, Chunk>} */
  chunks = new Map();
  chunkRows = FEWEST_CHUNK_ROWS;
  #stride = 1;
  /** @type {[string, number][]} */
  #places = [];
  #task;
  #invocation;
  #project;
  #filter;
  #matches;
  #clock = 0;
  #changed;
  #restUntil = 0;
  #failed;
  /** @type {Map<number, AbortController>} */
  #loading = new Map();
  /** Tool calls in memory whose result has not come. @type {Map<string, Row>} */
  #open = new Map();
  /** Results that came while their call may have been on its way here. */
  #recentResults = new Map();
  #closed = new AbortController();

  /**
   * @param {{task: string, invocation: number, project: string, filter: {types: string, q?: string, ok?: string},
   *   onChange: () => void, onFailed: (error: Error) => void}} options
   */
  constructor({ task, invocation, project, filter, onChange, onFailed }) {
    this.#task = task;
    this.#invocation = invocation;
    this.#project = project;
    this.#filter = filter;
    this.#matches = matcherOf(filter);
    this.#changed = onChange;
    this.#failed = onFailed;
  }

  /** Learns what there is, and reads the newest end of it. */
  async open() {
    const outline = await this.#get('outline', { ...this.#filter, places: MOST_PLACES });
    this.count = outline.lines;
    this.end = outline.end;
    this.#stride = outline.stride;
    this.#places = outline.places;
    this.#size();
    const last = this.chunkOf(Math.max(0, this.count - 1));
    await Promise.all([this.#load(last), this.count - last * this.chunkRows < 64 && last > 0 ? this.#load(last - 1) : null]);
  }

  close() {
    this.#closed.abort();
    for (const request of this.#loading.values()) request.abort();
    this.chunks.clear();
  }

  chunkOf(index) {
    return Math.floor(index / this.chunkRows);
  }

  /** @returns {Row | undefined} undefined while it is not in memory */
  row(index) {
    const chunk = this.chunks.get(this.chunkOf(index));
    if (!chunk) return undefined;
    chunk.used = ++this.#clock;
    return chunk.rows[index % this.chunkRows];
  }

  /** The time of a row, roughly where it is not in memory. */
  timeOf(index) {
    const chunk = this.chunks.get(this.chunkOf(index));
    return chunk?.rows[index % this.chunkRows]?.ts ?? this.#places[Math.floor(index / this.#stride)]?.[1];
  }

  /** Sees to it that these rows come into memory; others may leave it. */
  want(first, last) {
    if (this.count === 0) return;
    const from = this.chunkOf(Math.max(0, first));
    const to = this.chunkOf(Math.min(this.count - 1, last));
    for (const [chunk, request] of this.#loading) if (chunk < from - 1 || chunk > to + 1) request.abort();
    for (let chunk = from; chunk <= to && performance.now() >= this.#restUntil; chunk += 1) {
      if (this.#lacks(chunk) && !this.#loading.has(chunk)) {
        this.#load(chunk).then(this.#changed, (error) => this.#loadFailed(error));
      }
    }
    this.#evict(from, to);
  }

  /** The row a cursor stands behind. */
  async indexOf(cursor) {
    const { lines } = await this.#get('outline', { ...this.#filter, until: cursor, places: 1 });
    return Math.max(0, lines - 1);
  }

  /** The row that begins at a place's cursor. */
  async indexFrom(cursor) {
    const { lines } = await this.#get('outline', { ...this.#filter, until: cursor, places: 1 });
    return Math.min(lines, Math.max(0, this.count - 1));
  }

  /** Reads a row's line, and its result, whole. */
  async whole(row) {
    const { events } = await this.#get('lines', { ...this.#filter, after: row.before, limit: 1 });
    if (events[0]?.[0] === row.cursor) row.replace(asLine(events[0][1]));
    row.cut = false;
    if (row.result) await this.result(row, true);
  }

  /** Looks for the result of a tool call that was not near it. */
  async result(row, again = false) {
    if (!row.line.callId || (row.asked && !again)) return;
    const line = await this.#other(row, { types: 'tool_result', after: row.cursor });
    if (!line) return;
    row.finish(line, again);
    this.#open.delete(row.line.callId);
    this.#changed();
  }

  /** Looks for the tool call that a result belongs to, behind `after`: a place known to be before it. */
  async call(row, after) {
    if (!row.line.callId || row.asked) return;
    const line = await this.#other(row, { types: 'tool', after });
    if (!line) return;
    row.belongTo(line);
    this.#changed();
  }

  /** The other line of a row's call. It is asked for once, and again where nobody answered. */
  async #other(row, parameters) {
    row.asked = true;
    try {
      const { events } = await this.#get('lines', { call: row.line.callId, limit: 1, ...parameters });
      return events[0] && asLine(events[0][1]);
    } catch (error) {
      row.asked = false;
      throw error;
    }
  }

  /**
   * Takes a line that arrived live.
   * @param {string} cursor behind it
   * @param {any} line
   */
  append(cursor, line) {
    const before = this.end;
    this.end = cursor;
    if (line.type === 'tool_result') this.#resolve(line);
    if (!this.#matches(line)) return;
    if (this.count % this.#stride === 0) this.#places.push([before, line.ts]);
    const index = this.chunkOf(this.count);
    const within = this.count % this.chunkRows;
    let chunk = this.chunks.get(index);
    if (!chunk && within === 0) chunk = this.#put(index, []);
    this.count += 1;
    if (chunk && chunk.rows.length === within) {
      const row = new Row(cursor, before, line, true);
      chunk.rows.push(row);
      chunk.characters += row.characters;
      this.#watch(row);
    }
    if (this.#places.length > MOST_PLACES) this.#coarsen();
  }

  setHeight(index, height, standard) {
    const chunk = this.chunks.get(this.chunkOf(index));
    const row = chunk?.rows[index % this.chunkRows];
    if (!row) return;
    chunk.extra += height - (row.height || standard);
    row.height = height;
  }

  /** Forgets all heights, as the width is another one. */
  forgetHeights() {
    for (const chunk of this.chunks.values()) {
      chunk.extra = 0;
      for (const row of chunk.rows) row.height = 0;
    }
  }

  #resolve(line) {
    const row = this.#open.get(line.callId);
    if (row) {
      row.finish(line);
      this.#open.delete(line.callId);
      return;
    }
    this.#recentResults.set(line.callId, line);
    if (this.#recentResults.size > MOST_RECENT_RESULTS) {
      this.#recentResults.delete(this.#recentResults.keys().next().value);
    }
  }

  #watch(row) {
    if (row.type !== 'tool' || row.result || !row.line.callId) return;
    const known = this.#recentResults.get(row.line.callId);
    if (known) row.finish(known);
    else this.#open.set(row.line.callId, row);
  }

  #put(index, rows) {
    const chunk = { rows, extra: 0, used: ++this.#clock, characters: 0, known: this.count };
    for (const row of rows) chunk.characters += row.characters;
    this.chunks.set(index, chunk);
    return chunk;
  }

  #size() {
    this.chunkRows = Math.max(this.#stride, FEWEST_CHUNK_ROWS);
  }

  #sizeOf(index) {
    return Math.min(this.chunkRows, this.count - index * this.chunkRows);
  }

  /** Whether rows of it may be had: those that were not there when it was read are, if more came since. */
  #lacks(index) {
    const chunk = this.chunks.get(index);
    return !chunk || (chunk.rows.length < this.#sizeOf(index) && chunk.known < this.count);
  }

  async #load(index) {
    if (this.count === 0) return;
    const request = new AbortController();
    this.#loading.set(index, request);
    const { chunkRows } = this;
    try {
      const place = this.#places[(index * chunkRows) / this.#stride];
      const rows = [];
      // How many rows it has is asked anew each time: lines arrive meanwhile, also behind an answer's end.
      for (let after = place[0], more = true; more && rows.length < this.#sizeOf(index); ) {
        const known = this.#sizeOf(index);
        const limit = Math.min(LINES_A_REQUEST, known - rows.length);
        const answer = await this.#get('lines', { ...this.#filter, after, limit, results: 1 }, request.signal);
        if (chunkRows !== this.chunkRows) return;
        addRows(rows, answer, after);
        after = answer.next || after;
        more = (answer.more && (answer.events.length > 0 || answer.next !== '')) || known < this.#sizeOf(index);
      }
      rows.length = Math.min(rows.length, this.#sizeOf(index));
      this.#put(index, rows);
      for (const row of rows) this.#watch(row);
    } finally {
      if (this.#loading.get(index) === request) this.#loading.delete(index);
    }
  }

  /** Not asked again at once: each line that arrives would ask. */
  #loadFailed(error) {
    if (error.name === 'AbortError') return;
    this.#restUntil = performance.now() + REST_MS;
    this.#failed(error);
  }

  #evict(from, to) {
    let rows = 0;
    let characters = 0;
    for (const chunk of this.chunks.values()) {
      rows += chunk.rows.length;
      characters += chunk.characters;
    }
    if (rows <= MOST_ROWS && characters <= MOST_CHARACTERS) return;
    const candidates = [...this.chunks].filter(([index]) => index < from - 1 || index > to + 1);
    candidates.sort(([, a], [, b]) => a.used - b.used);
    for (const [index, chunk] of candidates) {
      if (rows <= MOST_ROWS && characters <= MOST_CHARACTERS) return;
      rows -= chunk.rows.length;
      characters -= chunk.characters;
      this.chunks.delete(index);
      for (const row of chunk.rows) {
        if (this.#open.get(row.line.callId) === row) this.#open.delete(row.line.callId);
      }
    }
  }

  /** Keeps every second place; chunks of two are joined where both are whole. */
  #coarsen() {
    this.#stride *= 2;
    this.#places = this.#places.filter((_, at) => at % 2 === 0);
    const { chunkRows: old, chunks } = this;
    this.#size();
    if (this.chunkRows === old) return;
    this.chunks = new Map();
    for (const [index, first] of chunks) {
      if (index % 2) continue;
      const second = chunks.get(index + 1);
      const size = Math.min(this.chunkRows, this.count - index * old);
      const rows = second ? first.rows.concat(second.rows) : first.rows;
      if (rows.length !== size) continue;
      this.#put(index / 2, rows).extra = first.extra + (second?.extra ?? 0);
    }
  }

  #get(what, parameters, signal = this.#closed.signal) {
    return get(invocationUrl(this.#task, this.#invocation, `/${what}`, { project: this.#project, ...parameters }), { signal });
  }
}

/** @param {Row[]} rows @param {string} after what was asked for */
function addRows(rows, answer, after) {
  const results = new Map(answer.results?.map(([, value]) => asLine(value)).map((line) => [line.callId, line]));
  let before = after;
  for (const [cursor, value] of answer.events) {
    const line = asLine(value);
    const row = new Row(cursor, before, line, false);
    const result = line.type === 'tool' && results.get(line.callId);
    if (result) row.finish(result);
    rows.push(row);
    before = cursor;
  }
}
