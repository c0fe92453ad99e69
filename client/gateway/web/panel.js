// The activity panel: one invocation's log, read where it is looked at, and live at its end.
// Joins the rows (activity-log.js), the list that shows them (virtual-list.js), the filter and the
// stream. What is shown stays until what replaces it is there.

import { ActivityLog } from './activity-log.js';
import { taskUrl } from './api.js';
import { announce, copy } from './clipboard.js';
import { h, icon, set, setText } from './dom.js';
import { FilterBar } from './filter-bar.js';
import * as format from './format.js';
import { highlight } from './highlight.js';
import { parseLine } from './line.js';
import { everything, filterOf } from './line-types.js';
import { panelKeys } from './panel-keys.js';
import { copySelection } from './row-copy.js';
import { drawPlaceholder, drawRow } from './row-view.js';
import { taskHref } from './router.js';
import { openStream } from './share.js';
import { VirtualList } from './virtual-list.js';

const MOST_OPEN = 500;
const PREFETCH_ROWS = 60;
const LAZY_MS = 120;
/** After what could not be read for now. */
const AGAIN_MS = 5000;

export class Panel {
  /** @type {ActivityLog | null} */
  #log = null;
  #stream = null;
  #choice = everything();
  /** Cursors of rows that are open. */
  #open = new Set();
  #linked;
  #current = 0;
  #ended;
  #seen = 0;
  #generation = 0;
  /** The log could not be read, or not under the filter that is chosen. */
  #owesReload = false;
  /** When that is tried again by itself, in epoch milliseconds. */
  #againAt = Infinity;
  #isClosed = false;
  #lazy = 0;
  /** A row that gets the focus when it is there. @type {number | null} */
  #awaited = null;
  #view = { first: 0, last: -1 };
  #where;
  #hear;
  #keys;
  /** What it cost, where only its row says so. */
  #estimate = '';

  /**
   * @param {HTMLElement} root
   * @param {{task: string, project: string, invocation: number, at?: string | null, ended: boolean, plain: boolean,
   *   managed: boolean}} where `managed`: it is ours, and its log ends with a line that says so
   * @param {{onLine: (line: any, cursor: string) => void, onState: (state: string, detail?: object) => void,
   *   onView: (from: number, to: number) => void, before: (ts: number) => string | undefined, onLost: () => void}} hear
   *   `onLost`: the event that was to be shown at first is not there;
   *   `before` gives a cursor that is known to stand before a time
   */
  constructor(root, where, hear) {
    this.root = root;
    this.#where = where;
    this.#hear = hear;
    this.#ended = where.ended;
    this.#linked = where.at ?? null;
    this.#build();
    this.#ticker = setInterval(() => this.#tick(), 1000);
    this.#reload({ first: true });
  }

  #ticker;

  close() {
    this.#generation += 1;
    this.#isClosed = true;
    clearInterval(this.#ticker);
    clearTimeout(this.#lazy);
    highlight(this.scroller, '');
    this.#stream?.close();
    this.list.close();
    this.#log?.close();
    this.root.replaceChildren();
  }

  /** Reads what could not be read, now that it may be there. */
  retry() {
    if (this.#owesReload) this.#reload({ first: !this.#log });
  }

  /** Whether it shows the newest end. */
  get follows() {
    return this.list.follow;
  }

  /** Says that the invocation is over: calls without a result will get none. */
  end() {
    if (this.#ended) return;
    this.#ended = true;
    this.list.redraw();
  }

  /** Takes an estimated cost, or an empty text: prices are the daemon's, and no line has it. */
  estimate(cost) {
    if (cost === this.#estimate) return;
    this.#estimate = cost;
    if (this.#ended) this.list.redraw();
  }

  /** Shows the event a cursor stands behind, or with `before` the one it stands in front of. */
  async jump(cursor, { before = false } = {}) {
    const log = this.#log;
    if (!log) return;
    try {
      const index = before ? await log.indexFrom(cursor) : await log.indexOf(cursor);
      if (log !== this.#log) return;
      this.#linked = before ? null : cursor;
      this.#show(index, 0.3, before);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A key that was pressed while nothing was focused; the rows are what it is about. */
  key(event) {
    // What is to be opened is chosen first.
    if (this.#log?.count && event.key !== 'Enter' && event.key !== ' ') this.#keys(event);
  }

  focusFilter() {
    this.filter.focus();
  }

  toEnd() {
    this.list.toEnd();
    this.#seen = this.#log?.count ?? 0;
    this.#counts();
  }

  /** Makes a row the current one, and brings it into sight. */
  select(index, focus = true) {
    const last = (this.#log?.count ?? 0) - 1;
    if (last < 0) return;
    const old = this.#current;
    this.#current = Math.min(Math.max(0, index), last);
    this.list.element(old)?.setAttribute('tabindex', '-1');
    this.list.scrollTo(this.#current);
    const element = this.list.element(this.#current);
    element?.setAttribute('tabindex', '0');
    if (focus) this.#focus(this.#current);
  }

  get current() {
    const { first, last } = this.list.visible();
    return this.#current >= first && this.#current <= last ? this.#current : null;
  }

  toggle(index = this.#current) {
    const row = this.#log?.row(index);
    if (!row) return;
    if (this.#open.delete(row.cursor)) {
      row.fold();
    } else {
      if (this.#open.size >= MOST_OPEN) this.#open.delete(this.#open.values().next().value);
      this.#open.add(row.cursor);
      row.version += 1;
      this.#needWhole(row);
    }
    this.list.setFollow(false);
    this.list.draw();
  }

  async #needWhole(row) {
    const log = this.#log;
    try {
      if (row.type === 'tool_result') await this.#askCall(log, row);
      if (row.cut) await log.whole(row);
      if (log === this.#log) this.list.schedule();
    } catch (error) {
      if (error.name !== 'AbortError') this.#fail(error);
    }
  }

  copyLink(index = this.#current, button = null) {
    const row = this.#log?.row(index);
    if (!row) return;
    const { task, project, invocation } = this.#where;
    const url = `${location.origin}${taskHref(task, project, invocation, row.cursor)}`;
    copy(url, button, 'Link copied');
  }

  copyCommand(index = this.#current) {
    const row = this.#log?.row(index);
    const text = row && (row.line.cmd ?? row.line.msg);
    if (text) copy(text, null, row.line.cmd ? 'Command copied' : 'Text copied');
  }

  #build() {
    this.filter = new FilterBar((choice) => {
      this.#choice = choice;
      this.#reload({});
    });
    this.scroller = h('div', {
      class: 'list', role: 'feed', tabindex: '0', 'aria-label': 'Activity', 'aria-busy': 'true', data: { test: 'activity' },
    });
    this.note = h('div', { class: 'panel-note', data: { test: 'panel-note' }, hidden: true });
    this.newer = h('button', { class: 'newer', type: 'button', hidden: true, data: { test: 'new-lines' }, on: { click: () => this.toEnd() } },
      icon('down'), h('span', {}, ''));
    set(this.root, this.filter.element, h('div', { class: 'list-frame' }, this.scroller, this.note, this.newer));
    this.list = new VirtualList({
      scroller: this.scroller,
      rowHeight: rowHeight(),
      render: (row, index) => (row ? drawRow(row, index, this.#look(row, index)) : drawPlaceholder(index)),
      onView: (first, last) => this.#viewed(first, last),
      onFollow: () => this.#counts(),
    });
    this.scroller.addEventListener('click', (event) => this.#click(event));
    this.scroller.addEventListener('focusin', (event) => {
      const row = event.target.closest('.row');
      if (row) this.#current = Number(row.dataset.index);
    });
    this.#keys = panelKeys(this, this.scroller);
    this.scroller.addEventListener('copy', (event) => copySelection(event, this.scroller));
  }

  #look(row, index) {
    return {
      open: this.#open.has(row.cursor),
      current: index === this.#current,
      linked: row.cursor === this.#linked,
      ended: this.#ended,
      plain: this.#where.plain,
      estimate: this.#estimate,
      now: Date.now(),
      count: this.#log.count,
    };
  }

  #click(event) {
    const control = event.target.closest('[data-action]');
    const element = event.target.closest('.row');
    if (!element) return;
    const index = Number(element.dataset.index);
    if (!control) return;
    const { action } = control.dataset;
    if (action === 'toggle') this.toggle(index);
    else if (action === 'link') this.copyLink(index, control);
    else if (action === 'copy') copy(control.copyText, control);
  }

  /** Reads the log anew: at first, under another filter, or because it is another log now. */
  async #reload({ first = false }) {
    // What belongs to it may still be on its way.
    if (this.#isClosed) return;
    const generation = ++this.#generation;
    this.#againAt = Infinity;
    const { task, project, invocation } = this.#where;
    this.scroller.setAttribute('aria-busy', 'true');
    this.filter.busy(true);
    const log = new ActivityLog({
      task, invocation, project,
      filter: filterOf(this.#choice),
      onChange: () => this.list.schedule(),
      onFailed: (error) => this.#fail(error),
    });
    // Unless they follow the end, people stay at the line they were looking at.
    const stay = first ? this.#linked : this.list.follow ? null : this.#log?.row(this.list.visible().first)?.cursor;
    try {
      await log.open();
      const index = stay ? await this.#find(log, stay) : null;
      if (generation !== this.#generation) return log.close();
      if (first && stay && index === null) this.#hear.onLost();
      this.#replace(log, index, first ? 0.3 : 0);
    } catch (error) {
      if (generation === this.#generation) this.#fail(error, { anew: true });
    } finally {
      if (generation === this.#generation) {
        this.scroller.setAttribute('aria-busy', 'false');
        this.filter.busy(false);
      }
    }
  }

  /** Where a cursor's row is; null if the log is another one than when the cursor was given. */
  async #find(log, cursor) {
    try {
      return await log.indexOf(cursor);
    } catch (error) {
      if (!error.gap && error.status !== 400) throw error;
      return null;
    }
  }

  #replace(log, index, align) {
    this.#stream?.close();
    this.#log?.close();
    this.#log = log;
    this.#seen = log.count;
    this.#current = Math.max(0, log.count - 1);
    this.#owesReload = false;
    this.#say(null);
    this.list.show(log);
    if (index !== null) this.#show(index, align, false);
    this.#counts();
    const { task, project, invocation, managed } = this.#where;
    this.#stream = openStream({
      url: taskUrl(task, '/stream', { project, invocation }),
      after: log.end,
      endsByLine: managed,
      onEvents: (events) => this.#take(log, events),
      onState: (state, detail) => this.#become(state, detail),
    });
  }

  #become(state, detail) {
    this.#hear.onState(state, detail);
    if (state !== 'live' || this.note.dataset.kind !== 'error') return;
    if (this.#owesReload) {
      this.retry();
      return;
    }
    // What could not be read while the daemon was away can be now.
    this.#say(null);
    this.list.schedule();
  }

  #show(index, align, focus) {
    this.list.setFollow(false);
    this.list.scrollTo(index, align);
    this.#current = index;
    if (focus) this.#focus(index);
  }

  /** Focuses a row, now or as soon as it is there. */
  #focus(index) {
    const element = this.list.element(index);
    this.#awaited = element?.matches('.row-placeholder') ? index : null;
    if (this.#awaited === null) element?.focus({ preventScroll: true });
    else this.scroller.focus({ preventScroll: true });
  }

  #take(log, events) {
    if (log !== this.#log) return;
    for (const event of events) {
      if (this.#takeEvent(log, event)) continue;
      announce('The log was written anew; it is read again');
      this.#reload({});
      return;
    }
    this.list.schedule();
    if (!this.list.follow) this.#counts();
  }

  /**
   * One line that is odd in a way nobody thought of is passed over, and those after it are not.
   * @returns {boolean} whether it goes on: false where the log is another one now
   */
  #takeEvent(log, { id, data }) {
    try {
      const line = parseLine(data);
      // The daemon's has an id, and says why.
      if (line.type === 'gap' && (id === null || line.reason)) return false;
      if (id === null) {
        this.#hearGateway(line);
      } else {
        log.append(id, line);
        this.#hear.onLine(line, id);
      }
    } catch (error) {
      reportError(error);
    }
    return true;
  }

  /** What the gateway says itself has no id; it is no line, whatever it looks like. */
  #hearGateway({ type, error, hint }) {
    if (type === 'waiting_for_log') this.#say('Its log is not there yet.');
    else if (type === 'log_not_found') this.#say('Its log was not found.');
    else if (type === 'error') this.#fail({ message: error, hint }, { anew: true });
  }

  #viewed(first, last) {
    this.#view = { first, last };
    const log = this.#log;
    log.want(first - PREFETCH_ROWS, last + PREFETCH_ROWS);
    if (this.list.follow) this.#seen = log.count;
    this.#counts();
    highlight(this.scroller, this.#choice.text);
    if (this.#awaited !== null && document.activeElement === this.scroller) this.#focus(this.#awaited);
    const seen = this.list.visible();
    this.#hear.onView(log.timeOf(seen.first), this.list.follow && !this.#ended ? Date.now() : log.timeOf(seen.last));
    clearTimeout(this.#lazy);
    this.#lazy = setTimeout(() => this.#askVisible(log), LAZY_MS);
  }

  /** A result that is a row of its own shows the command of its call. */
  #askCall(log, row) {
    const began = row.ts - (row.line.duration ?? 0) - 1000;
    return log.call(row, this.#hear.before(began));
  }

  /** Results that were not near their call are asked for once the call is looked at. */
  #askVisible(log) {
    if (log !== this.#log) return;
    const { first, last } = this.list.visible();
    for (let index = first; index <= last; index += 1) {
      const row = log.row(index);
      if (row?.cut && this.#open.has(row.cursor)) this.#needWhole(row);
      if (row?.type === 'tool' && !row.result && !row.asked) log.result(row).catch(() => {});
      if (row?.type === 'tool_result' && !row.asked) this.#askCall(log, row).catch(() => {});
    }
  }

  #counts() {
    const log = this.#log;
    if (!log) return;
    this.filter.count(log.count);
    const unseen = this.list.follow ? 0 : log.count - this.#seen;
    this.newer.hidden = this.list.follow || log.count === 0;
    setText(this.newer.lastElementChild, unseen > 0 ? `${format.number(unseen)} new` : 'Newest');
    this.newer.dataset.unseen = String(unseen);
    if (log.count === 0) this.#say(this.#isFiltered() ? 'No line fits the filter.' : this.#ended ? 'Its log is empty.' : 'Nothing yet.');
    else if (this.note.dataset.kind === 'empty') this.#say(null);
  }

  #isFiltered() {
    return this.#choice.text !== '' || this.#choice.failed || this.#choice.groups.join() !== everything().groups.join();
  }

  #say(text) {
    this.note.hidden = text === null;
    this.note.dataset.kind = 'empty';
    set(this.note, text === null ? null : h('p', {}, text));
  }

  /** Says what failed; `anew`: only reading the log anew helps. */
  #fail(error, { anew = false } = {}) {
    if (error.name === 'AbortError' || this.#isClosed) return;
    if (error.gap && this.#log) {
      this.#reload({});
      return;
    }
    if (error.reason === 'NO_LOG') {
      this.#sayNoLog();
      return;
    }
    const again = () => {
      if (anew || !this.#log) {
        this.#reload({ first: !this.#log });
      } else {
        this.#say(null);
        this.list.schedule();
      }
    };
    this.#owesReload ||= anew || !this.#log;
    // The word that the daemon is back may have come before this did.
    if (error.status === 0 || error.status >= 500 || error.reason === 'FOLDER_GONE') this.#againAt = Date.now() + AGAIN_MS;
    this.note.hidden = false;
    this.note.dataset.kind = 'error';
    set(this.note, h('p', { class: 'tone-bad' }, `Not read: ${error.message}`), error.hint ? h('p', { class: 'dim' }, error.hint) : null,
      h('button', { type: 'button', class: 'button', on: { click: again } }, 'Try again'));
  }

  /** That an ended one has no log is no failure: time has removed it, and to read it once more does not help. */
  #sayNoLog() {
    this.#owesReload = true;
    this.#say('');
    const { invocation, managed } = this.#where;
    set(this.note, h('p', {}, 'It has no log, or none any more.'),
      managed ? h('p', { class: 'dim' }, h('code', {}, `steroidsctl reproject ${invocation}`), ' makes it again while its transcript is kept.') : null);
    // There is no stream that would tell it.
    this.#hear.onState('ended');
  }

  #tick() {
    const now = Date.now();
    if (now >= this.#againAt) {
      this.#againAt = Infinity;
      this.retry();
    }
    for (const element of this.scroller.querySelectorAll('.ticking')) {
      setText(element, format.elapsed(now - Number(element.dataset.since)));
    }
  }
}

function rowHeight() {
  return parseInt(getComputedStyle(document.documentElement).getPropertyValue('--row'), 10) || 28;
}
