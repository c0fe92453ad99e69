// One event stream, read by fetch so that it can carry a token, and resumed by itself exactly where
// it was: every event has an id, the last one is sent as Last-Event-ID. Used by the page and by the
// shared worker alike.
//
//   connecting ──> catching-up ──(: live)──> live ──(204, or its last event)──> ended
//        ^               │  ^                 │
//        └─ reconnecting <──┴── away, gone <──┘            refused (another status: it says why)
//
// `gone` is the project's folder, with the daemon there; `away` is the daemon.

import { parseObject } from './line.js';
import { SseParser } from './sse.js';

// A heartbeat comes every 15 s; two may be late.
const SILENCE_MS = 40_000;
const LONGEST_WAIT_MS = 15_000;
/** The last lines of a log of ours, and the gateway's own last words (which have no id). */
const LAST_LINES = new Set(['complete', 'error']);
const LAST_WORDS = new Set(['log_not_found', 'no_active_invocation']);
/** How the gateway begins to say that the project's folder is gone. */
const GONE = '{"type":"project_gone"';

/**
 * @typedef {'connecting' | 'catching-up' | 'live' | 'away' | 'gone' | 'reconnecting' | 'ended' | 'refused'} State
 * @typedef {{id: string | null, data: string}} StreamEvent
 */

export class ResumingStream {
  #url;
  #token;
  #after;
  #onEvents;
  #onState;
  #endsByLine;
  #closed = new AbortController();
  #retry = 1000;
  #failures = 0;
  /** @type {StreamEvent | null} */
  #last = null;
  /** Behind which last line it was asked at once whether more comes. */
  #askedBehind = null;
  /** The token that the last request went out with. */
  #used = null;
  #wake = () => {};
  /** @type {State} */
  state = 'connecting';

  /**
   * @param {{url: string, after?: string | null, endsByLine?: boolean, token: () => string | null,
   *   onEvents: (events: StreamEvent[]) => void,
   *   onState: (state: State, detail?: {status?: number, error?: string, hint?: string, used?: string | null}) => void}} options
   *   `url` has a query; `after` is the cursor to begin behind; `used` is the token that was refused.
   *   `endsByLine`: a log's last line ends it; of another tool's run only a 204 does.
   */
  constructor({ url, after, endsByLine = true, token, onEvents, onState }) {
    this.#url = url;
    this.#token = token;
    this.#after = after ?? null;
    this.#onEvents = onEvents;
    this.#onState = onState;
    this.#endsByLine = endsByLine;
    this.#run();
  }

  /** The cursor of the last event given. */
  get after() {
    return this.#after;
  }

  close() {
    this.#closed.abort();
    this.#wake();
  }

  /** Tries again now, if it is waiting. */
  hurry() {
    this.#wake();
  }

  async #run() {
    while (!this.#closed.signal.aborted) {
      const goOn = await this.#connect().catch(() => true);
      if (!goOn || this.#closed.signal.aborted) return;
      if (this.#asksAtOnce()) continue;
      this.#become('reconnecting');
      await this.#pause();
    }
  }

  /** One connection, until it breaks. @returns {Promise<boolean>} whether to connect again */
  async #connect() {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    this.#closed.signal.addEventListener('abort', stop);
    let watchdog = setTimeout(stop, SILENCE_MS);
    try {
      const response = await fetch(this.#url, { headers: this.#headers(), signal: attempt.signal, cache: 'no-store' });
      if (response.status !== 200) return await this.#turnedAway(response);
      this.#become('catching-up');
      const reader = response.body.getReader();
      const parser = new SseParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return !this.#hasEnded();
        clearTimeout(watchdog);
        watchdog = setTimeout(stop, SILENCE_MS);
        this.#failures = 0;
        this.#take(parser.push(value));
      }
    } finally {
      clearTimeout(watchdog);
      this.#closed.signal.removeEventListener('abort', stop);
    }
  }

  #headers() {
    const headers = { Accept: 'text/event-stream' };
    this.#used = this.#token();
    if (this.#used) headers.Authorization = `Bearer ${this.#used}`;
    if (this.#after) headers['Last-Event-ID'] = this.#after;
    return headers;
  }

  async #turnedAway(response) {
    if (response.status === 204) {
      this.#become('ended');
      return false;
    }
    const body = await response.json().catch(() => ({}));
    const passing = response.status >= 500 || response.status === 429 || response.status === 408;
    if (passing) return true;
    this.#become('refused', { status: response.status, error: body.error, hint: body.hint, used: this.#used });
    return false;
  }

  /** @param {import('./sse.js').Item[]} items */
  #take(items) {
    /** @type {StreamEvent[]} */
    let events = [];
    const flush = () => {
      if (events.length && !this.#closed.signal.aborted) this.#tell(this.#onEvents, events);
      events = [];
    };
    for (const item of items) {
      if (item.kind === 'event') {
        if (item.id !== null) this.#after = item.id;
        this.#last = { id: item.id, data: item.data };
        events.push(this.#last);
        if (item.id === null && item.data.startsWith(GONE)) this.#projectWent(item.data);
        continue;
      }
      flush();
      if (item.kind === 'retry') this.#comeBack(item.ms);
      else this.#comment(item.text);
    }
    flush();
  }

  /** Said at the beginning, and by a gateway that stops: then its end is not that of the log. */
  #comeBack(ms) {
    this.#retry = Math.min(ms, LONGEST_WAIT_MS);
    this.#last = null;
  }

  #projectWent(data) {
    const { error, hint } = parseObject(data) ?? {};
    this.#become('gone', { error, hint });
  }

  #comment(text) {
    if (text === 'live') this.#become('live');
    else if (text === 'daemon away') this.#become('away');
    else if (text === 'daemon back') this.#become('catching-up');
  }

  /** Whether the stream is over: its last event says so, and the end of the connection is no loss. */
  #hasEnded() {
    const { id = null, data = '' } = this.#last ?? {};
    const last = parseObject(data);
    if (id === null && last?.type === 'error') {
      this.#become('refused', { error: last.error, hint: last.hint });
      return true;
    }
    const isLast = id === null ? LAST_WORDS.has(last?.type) : this.#endsByLine && LAST_LINES.has(last?.type);
    if (!isLast) return false;
    this.#become('ended');
    return true;
  }

  /**
   * Whether the connection ended behind what may be the last line of another tool's run: then a 204
   * is likely, and nothing to be told of. Once for each place, in case it is not.
   */
  #asksAtOnce() {
    const { id = null, data = '' } = this.#last ?? {};
    if (this.#endsByLine || id === null || id === this.#askedBehind) return false;
    if (!LAST_LINES.has(parseObject(data)?.type)) return false;
    this.#askedBehind = id;
    return true;
  }

  #become(state, detail) {
    if (this.#closed.signal.aborted || this.state === state) return;
    this.state = state;
    this.#tell(this.#onState, state, detail);
  }

  /** What goes wrong with whoever is told is not the connection's fault, and does not end it. */
  #tell(listener, ...what) {
    try {
      listener(...what);
    } catch (error) {
      reportError(error);
    }
  }

  #pause() {
    const grown = this.#retry * 2 ** Math.min(this.#failures, 5);
    this.#failures += 1;
    const wait = Math.min(grown, LONGEST_WAIT_MS) * (0.75 + Math.random() / 2);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
