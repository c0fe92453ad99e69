// What failed and was not tried again, however much has ended since: the overview stream tells of the last fifty ends
// alone, and of a night with many more what failed first is what nobody would see. The newest of the last days are
// always known; whoever looks at them has those behind them read page by page, of which only what matches is kept.
//
// Within a project pages are by id, which is not by when one began or ended. So nothing goes by an order here: what was
// read stays until it is known to be mended or gone, wherever newer ones push it, and what the stream tells of is added.

import { get, query } from './api.js';
import { asking } from './asking.js';
import { onOverview } from './overview-feed.js';
import { keyOf } from './overview-model.js';

const DAYS = 3;
const PAGE = 200;
/** More rows nobody scrolls through. */
const MOST_KEPT = 1200;

/** As the daemon has it: what somebody has ended is not to be mended. */
export function isUnresolved(it) {
  return (it.status === 'failed' || it.status === 'timeout') && it.outcome !== 'cancelled' && !it.retriedBy;
}

/** Kept while the page is open: who comes back to the list finds it as it was. */
export class Failed {
  changed = () => {};
  #text = '';
  #matches = () => true;
  /** The newest, and which page comes behind them. */
  #first = [];
  #behind = null;
  /** All that were read and match, the newest too. @type {Map<string, any>} */
  #found = new Map();
  /** What is tried again: a page that is on its way may not know. @type {Set<string>} */
  #retried = new Set();
  /** How many were looked at, and which page comes next; null where all were. */
  looked = 0;
  #next = null;
  /** Counts lists: a page that was asked for one of them is none of the next. */
  #list = 0;
  /** Pages behind the first were asked for: the list is not begun anew by newer ones. */
  #isFurther = false;
  /** Those that are older than some days are read, too. */
  #isOfAll = false;
  #isFull = false;
  #since = 0;
  #isBusy = false;
  #asked = 0;

  constructor() {
    this.look = asking(() => this.#read(), new AbortController().signal);
    onOverview((event) => {
      // What changed while nobody told of it is not known of what is behind.
      if (event.type === 'snapshot') this.#begin();
      else if (event.type === 'invocation' && event.invocation) this.#hear({ project: event.project, ...event.invocation });
    });
  }

  /** All that are known; where somebody looks at other things, too, the newest alone. */
  list(isAll = true) {
    return isAll ? [...this.#found.values(), ...this.#first.filter((it) => !this.#found.has(keyOf(it)))] : this.#first;
  }

  /** There are more than these of the last days, or of all where these are read. */
  isMore(isAll = true) {
    return (isAll ? this.#next : this.#behind) !== null;
  }

  /** How far it has gone: not at all yet, `more` can be read, `older` ones can, as many as are kept were found, or it is the `end`. */
  get state() {
    if (!this.#since) return 'unknown';
    if (this.#isFull) return 'full';
    return this.isMore() ? 'more' : this.#isOfAll ? 'end' : 'older';
  }

  /** An answer is on its way. */
  get isReading() {
    return this.#asked > 0;
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
    this.#isFurther = true;
    const list = this.#list;
    const isOfAll = this.#isOfAll || state === 'older';
    const ages = isOfAll ? { until: this.#since } : { since: this.#since };
    const answer = await this.#ask({ ...ages, page: this.#next });
    this.#isBusy = false;
    if (answer && list === this.#list) {
      this.#isOfAll = isOfAll;
      this.looked += answer.invocations.length;
      this.#next = answer.nextPage ?? null;
      this.#keep(answer.invocations);
    }
    this.changed(answer !== null);
  }

  #begin() {
    this.#list += 1;
    this.#found.clear();
    this.looked = this.#first.length;
    this.#next = this.#behind;
    this.#isFurther = false;
    this.#isOfAll = false;
    this.#isFull = false;
    this.#keep(this.#first);
  }

  /** @returns what is answered; null: nothing */
  async #ask(part) {
    this.#asked += 1;
    const answer = await get(`/api/invocations${query({ unresolved: 1, limit: PAGE, ...part })}`).catch(() => null);
    this.#asked -= 1;
    return answer;
  }

  #keep(invocations) {
    for (const it of invocations) if (this.#matches(it) && !this.#retried.has(keyOf(it))) this.#found.set(keyOf(it), it);
    if (this.#found.size < MOST_KEPT) return;
    this.#isFull = true;
    const newest = [...this.#found].sort(([, a], [, b]) => (b.completedAtMs ?? 0) - (a.completedAtMs ?? 0));
    this.#found = new Map(newest.slice(0, MOST_KEPT));
  }

  #hear(it) {
    if (it.retryOf) {
      const key = keyOf({ project: it.project, id: it.retryOf });
      this.#retried.add(key);
      this.#found.delete(key);
    }
    // One that ran for long has an id of long ago: its page may have been read.
    if (this.#isFurther && isUnresolved(it)) this.#keep([it]);
  }

  async #read() {
    // The pages behind were asked for by it.
    const since = this.#isFurther ? this.#since : Date.now() - DAYS * 86_400_000;
    const answer = await this.#ask({ since });
    // What was known stays: that the daemon is away is said elsewhere, and all is asked for when it is back.
    if (!answer) return;
    const { invocations, nextPage } = answer;
    const keys = new Set(invocations.map(keyOf));
    const isKnown = this.#first.some((it) => keys.has(keyOf(it)));
    // Since when, too: else one that has come of age is missing, and not gone.
    if (since === this.#since) this.#dropGone(answer, keys);
    this.#behind = nextPage ?? null;
    this.#first = invocations;
    // More than a page has come: what is between it and what was read before was never read.
    if (!this.#isFurther || (nextPage && !isKnown)) {
      this.#since = since;
      this.#begin();
    } else {
      this.#keep(invocations);
    }
    this.changed(true);
  }

  /** What was among the newest, and is neither there nor behind them. */
  #dropGone({ invocations, nextPage }, keys) {
    // By id, and newest first.
    const lowest = new Map(invocations.map((it) => [it.project, it.id]));
    for (const it of this.#first) {
      const isBehind = nextPage && !(it.id > lowest.get(it.project));
      if (!isBehind && !keys.has(keyOf(it))) this.#found.delete(keyOf(it));
    }
  }
}

/** The page's. */
export const failed = new Failed();
