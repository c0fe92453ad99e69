// What failed and was not tried again, however much has ended since: the overview stream tells of the last fifty ends
// alone, and of a night with many more what failed first is what nobody would see. The newest of the last days are
// always known; whoever looks at them has those behind them read page by page, of which only what matches is kept.

import { get, query } from './api.js';
import { asking } from './asking.js';
import { onOverview } from './overview-feed.js';
import { keyOf } from './overview-model.js';

const DAYS = 3;
const PAGE = 200;
/** Of what is behind the first page: more rows nobody scrolls through. */
const MOST_KEPT = 1000;

/** As the daemon has it: what somebody has ended is not to be mended. */
export function isUnresolved(it) {
  return (it.status === 'failed' || it.status === 'timeout') && it.outcome !== 'cancelled' && !it.retriedBy;
}

const began = (it) => it.startedAtMs ?? it.completedAtMs ?? 0;

/** Kept while the page is open: who comes back to the list finds it as it was. */
export class Failed {
  changed = () => {};
  #text = '';
  #matches = () => true;
  /** The newest, and which page comes behind them. */
  #first = [];
  #behind = null;
  /** Those behind them that match. @type {Map<string, any>} */
  #further = new Map();
  /** How many were looked at, and which page comes next; null where all were. */
  looked = 0;
  #next = null;
  /** Those that are older than some days are read, too. */
  #isOfAll = false;
  #since = 0;
  #isBusy = false;

  constructor() {
    this.look = asking(() => this.#read(), new AbortController().signal);
    onOverview((event) => {
      // What changed while nobody told of it is not known of what is behind.
      if (event.type === 'snapshot') this.#begin();
      else if (event.type === 'invocation' && event.invocation?.retryOf) this.#further.delete(keyOf({ project: event.project, ...event.invocation, id: event.invocation.retryOf }));
    });
  }

  /** All that are known; where somebody looks at other things, too, the newest alone. */
  list(isAll = true) {
    return isAll ? [...this.#further.values(), ...this.#first] : this.#first;
  }

  /** There are more than these of the last days, or of all where these are read. */
  isMore(isAll = true) {
    return (isAll ? this.#next : this.#behind) !== null;
  }

  /** How far it has gone: not at all yet, `more` can be read, `older` ones can, as many as are kept were found, or it is the `end`. */
  get state() {
    if (!this.#since) return 'unknown';
    if (this.#further.size >= MOST_KEPT) return 'full';
    return this.isMore() ? 'more' : this.#isOfAll ? 'end' : 'older';
  }

  /** Looks for another text: what was kept of the pages behind the first is what matched the one before. */
  narrow(text, matches) {
    if (text === this.#text) return;
    this.#text = text;
    this.#matches = matches;
    this.#begin();
  }

  /** Reads the next page; where there is none, of what is older. */
  async goOn() {
    const { state } = this;
    if (this.#isBusy || !['more', 'older'].includes(state)) return;
    this.#isBusy = true;
    const text = this.#text;
    const ages = state === 'older' || this.#isOfAll ? { until: this.#since } : { since: this.#since };
    const answer = await this.#ask({ ...ages, page: this.#next }).catch(() => null);
    this.#isBusy = false;
    if (answer && text === this.#text) {
      this.#isOfAll ||= state === 'older';
      this.#take(answer);
    }
    this.changed(answer !== null);
  }

  #begin() {
    this.#further.clear();
    this.looked = this.#first.length;
    this.#next = this.#behind;
    this.#isOfAll = false;
  }

  #ask(part) {
    return get(`/api/invocations${query({ unresolved: 1, limit: PAGE, ...part })}`);
  }

  #take({ invocations, nextPage }) {
    const isNew = (it) => !this.#first.some((other) => keyOf(other) === keyOf(it));
    for (const it of invocations.filter(isNew)) if (this.#matches(it)) this.#further.set(keyOf(it), it);
    this.looked += invocations.length;
    this.#next = nextPage ?? null;
  }

  async #read() {
    const since = Date.now() - DAYS * 86_400_000;
    const answer = await this.#ask({ since }).catch(() => null);
    // What was known stays: that the daemon is away is said elsewhere, and all is asked for when it is back.
    if (!answer) return;
    const { invocations, nextPage } = answer;
    const isFurther = this.looked > this.#first.length || this.#isOfAll;
    if (isFurther && nextPage) {
      // What newer ones have pushed from the first page is behind it now.
      const last = began(invocations.at(-1));
      const keys = new Set(invocations.map(keyOf));
      const pushed = this.#first.filter((it) => !keys.has(keyOf(it)) && began(it) <= last && this.#matches(it));
      for (const it of pushed) this.#further.set(keyOf(it), it);
    }
    this.#behind = nextPage ?? null;
    this.#first = invocations;
    if (!isFurther) {
      this.#since = since;
      this.#begin();
    }
    this.changed(true);
  }
}

/** The page's. */
export const failed = new Failed();
