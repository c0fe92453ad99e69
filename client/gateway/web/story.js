// What the time axis shows of a task: its invocations, and where in them tools were called, what
// failed and what was tried again. Read from outlines, a bounded number of marks each, one
// invocation after the other, the newest first; a running one goes on by its live lines.

import { get, invocationUrl } from './api.js';

const MOST_MARKS = 1024;
const MOST_INVOCATIONS = 40;

/** What is marked, and the lines it is. */
export const MARKS = {
  tool: { types: 'tool' },
  retry: { types: 'retry' },
  failed: { types: 'tool_result', ok: 'false' },
};

export const isOver = (invocation) => Boolean(invocation?.outcome) || !['running', 'queued'].includes(invocation?.status);

/** Marks of one kind: a place stands for `stride` lines from it on. @typedef {{stride: number, lines: number, places: [string, number][]}} Marks */

/** When it began; one that ended before it could, when it ended. */
const began = (invocation) => invocation.startedAtMs ?? invocation.completedAtMs ?? Infinity;

export class Story {
  /** In the order they started. @type {any[]} */
  invocations = [];
  /** @type {Map<number, Record<string, Marks>>} */
  marks = new Map();
  #wanted = [];
  #busy = false;
  #closed = new AbortController();

  /** @param {{task: string, project: string, onChange: () => void}} options */
  constructor({ task, project, onChange }) {
    this.task = task;
    this.project = project;
    this.onChange = onChange;
  }

  close() {
    this.#closed.abort();
  }

  /** Takes the task's invocations, or news of one. */
  put(...invocations) {
    const byId = new Map(this.invocations.map((it) => [it.id, it]));
    for (const it of invocations) byId.set(it.id, withNews(byId.get(it.id), it));
    this.invocations = [...byId.values()].sort((a, b) => (began(a) === began(b) ? a.id - b.id : began(a) - began(b)));
    this.onChange();
  }

  /** Begins to read marks, of this invocation first. */
  read(first) {
    const newest = this.invocations.slice(-MOST_INVOCATIONS).reverse().map((it) => it.id);
    this.#wanted = [first, ...newest.filter((id) => id !== first)].filter((id) => !this.marks.has(id));
    if (!this.#busy) this.#readAll();
  }

  /** Takes a live line of an invocation whose marks are known. */
  append(id, line, before) {
    const kind = line.type === 'tool' ? 'tool' : line.type === 'retry' ? 'retry' : line.type === 'tool_result' && line.ok === false ? 'failed' : null;
    const marks = kind && this.marks.get(id)?.[kind];
    if (!marks || !before || line.ts === undefined) return;
    if (marks.lines % marks.stride === 0) marks.places.push([before, line.ts]);
    marks.lines += 1;
    if (marks.places.length > 2 * MOST_MARKS) {
      marks.places = marks.places.filter((_, at) => at % 2 === 0);
      marks.stride *= 2;
    }
    this.onChange();
  }

  async #readAll() {
    this.#busy = true;
    for (let id = this.#wanted.shift(); id !== undefined; id = this.#wanted.shift()) {
      // A log that cannot be read leaves its bar without marks; the panel tells why.
      await this.#readOne(id).catch(() => {});
      if (this.#closed.signal.aborted) return;
    }
    this.#busy = false;
  }

  async #readOne(id) {
    const marks = {};
    for (const [kind, filter] of Object.entries(MARKS)) {
      const parameters = { project: this.project, ...filter, places: MOST_MARKS };
      marks[kind] = await get(invocationUrl(this.task, id, '/outline', parameters), { signal: this.#closed.signal });
    }
    this.marks.set(id, marks);
    this.onChange();
  }

  /** The last place known before a time; undefined where none is, which means from the start. */
  before(id, ts) {
    const places = this.marks.get(id)?.tool.places;
    return places?.findLast((place) => place[1] < ts)?.[0];
  }

  /** What a mark says: the line it stands in front of. */
  async tell(id, kind, cursor, signal) {
    const parameters = { project: this.project, ...MARKS[kind], after: cursor, limit: 1, results: 1 };
    const { events, results } = await get(invocationUrl(this.task, id, '/lines', parameters), { signal });
    return { line: events[0]?.[1], result: results?.[0]?.[1] };
  }
}

/**
 * What has ended never runs again: news by which it does were sent before its log's last line came. What another
 * tool runs ends by its row alone, and whatever that tells next is newer.
 */
function withNews(known, news) {
  const isAnother = Boolean(known?.uuid && news.uuid && known.uuid !== news.uuid);
  if (!known || isAnother) return news;
  const isOld = known.managed !== false && isOver(known) && news.status !== undefined && !isOver(news);
  return isOld ? known : { ...known, ...news };
}
