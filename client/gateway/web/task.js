// A task: its header, its story on a time axis, its invocations to choose from, and the activity of
// the chosen one. News of its invocations comes with the overview stream, lines with the panel's.

import { get, query, taskUrl } from './api.js';
import { Axis } from './axis.js';
import { clean } from './clean.js';
import { report } from './connection.js';
import { plainProviders } from './control.js';
import { h, set, setText } from './dom.js';
import * as format from './format.js';
import { onOverview, overview } from './overview-feed.js';
import { Panel } from './panel.js';
import { rename, taskHref } from './router.js';
import { showFailure } from './sign-in.js';
import { isOver, Story } from './story.js';
import { TaskHeader } from './task-header.js';
import { InvocationPicker } from './invocation-picker.js';

export class TaskView {
  #address;
  #stop = () => {};
  #closed = new AbortController();
  #selected = 0;
  #pinned;
  #plain = new Set();
  #lastCursor = '';
  /** The overview has told all since it was built, or before. */
  #hasSnapshot = false;
  #ticker = 0;
  /** @type {Panel | null} */
  #panel = null;
  #axis = null;

  /** @param {HTMLElement} view @param {import('./router.js').Address} address */
  constructor(view, address) {
    this.view = view;
    this.#address = address;
    // Without an invocation in the address, the page goes on with the task's next one.
    this.#pinned = address.invocation !== null;
    document.title = `${address.task} · steroids`;
    this.#crumbs();
    this.#open();
  }

  close() {
    this.#closed.abort();
    this.#stop();
    clearInterval(this.#ticker);
    this.#panel?.close();
    this.#axis?.close();
    this.story?.close();
    report('task', null);
    delete document.body.dataset.view;
  }

  focusFilter() {
    this.#panel?.focusFilter();
  }

  /** A key that was pressed while nothing was focused. */
  key(event) {
    this.#panel?.key(event);
  }

  #crumbs() {
    const { project, task } = this.#address;
    set(document.getElementById('crumbs'),
      project ? h('a', { href: `/${query({ project })}`, data: { route: '' }, title: project }, clean(format.baseName(project))) : null,
      h('span', { 'aria-current': 'page' }, clean(task)));
  }

  async #open() {
    const { task, project } = this.#address;
    const { signal } = this.#closed;
    try {
      const [answer, plain] = await Promise.all([get(taskUrl(task, '', { project }), { signal }), plainProviders()]);
      // The providers are asked for whoever looks next, too.
      if (signal.aborted) return;
      this.#plain = plain;
      this.#build(answer.task, answer.invocations);
    } catch (error) {
      if (signal.aborted || error.status === 401) return;
      const again = () => {
        this.#stop();
        set(this.view);
        this.#open();
      };
      showFailure(this.view, error, again);
      // The daemon is back when the overview tells all anew, and a project when it tells of them.
      const back = error.reason === 'FOLDER_GONE' ? ['projects', 'snapshot'] : ['snapshot'];
      const passes = error.status === 503 || error.status === 0 || error.reason === 'FOLDER_GONE';
      if (passes) this.#stop = onOverview((event) => back.includes(event.type) && again());
    }
  }

  #build(task, invocations) {
    const { project, invocation } = this.#address;
    document.body.dataset.view = 'task';
    this.story = new Story({ task: this.#address.task, project, onChange: () => this.#axis?.scheduleSoon() });
    this.story.put(...invocations);
    const known = this.story.invocations;
    const chosen = known.find((it) => it.id === invocation) ?? this.#next() ?? known[known.length - 1];
    const root = h('div', { class: 'task', data: { test: 'task', task: this.#address.task } });
    const axis = h('section', { class: 'axis', 'aria-label': 'Story' });
    this.activity = h('section', { class: 'activity', 'aria-label': 'Activity' });
    const missing = invocation !== null && !known.some((it) => it.id === invocation);
    this.header = new TaskHeader({ task, id: this.#address.task, project });
    this.missing = h('p', { class: 'task-problem tone-warn', role: 'status', data: { test: 'missing' }, hidden: !missing },
      chosen ? `There is no invocation ${invocation} of this task; this is ${chosen.id}.` : `There is no invocation ${invocation} of this task.`);
    this.header.element.append(this.missing);
    if (missing) this.#pinned = false;
    this.picker = new InvocationPicker((id) => this.#choose(id));
    set(root, this.header.element, axis, this.picker.element, this.activity);
    set(this.view, root);
    this.root = root;
    this.#hasSnapshot = overview.known;
    this.#stop = onOverview((event) => this.#news(event));
    this.#ticker = setInterval(() => this.#drawHead(), 1000);
    if (!chosen) {
      axis.hidden = true;
      this.#drawHead();
      set(this.activity, h('div', { class: 'panel-note' }, h('p', {}, 'It has no invocations yet.')));
      return;
    }
    this.#axis = new Axis(axis, this.story, chosen.id, { onPick: (id, cursor) => this.#pick(id, cursor) });
    this.#select(chosen.id, missing ? null : this.#address.at);
  }

  get #invocation() {
    return this.story.invocations.find((it) => it.id === this.#selected);
  }

  /** What a task's page is about: the newest that runs, else what is to start first of what waits. */
  #next() {
    const going = this.story.invocations.filter((it) => !isOver(it));
    return going.findLast((it) => it.status === 'running') ?? going[0];
  }

  #select(id, at = null) {
    this.#panel?.close();
    report('task', 'connecting');
    if (this.#selected) this.missing.hidden = true;
    this.#selected = id;
    this.root.dataset.invocation = id;
    this.#axis.select(id);
    const { task, project } = this.#address;
    const { provider, managed } = this.#invocation;
    const where = {
      task, project, invocation: id, at,
      ended: isOver(this.#invocation), plain: this.#plain.has(provider), managed: managed !== false,
    };
    this.#panel = new Panel(this.activity, where, {
      onLine: (line, cursor) => this.#line(id, line, cursor),
      onState: (state, detail) => this.#state(state, detail),
      onView: (from, to) => this.#axis.view(from, to),
      before: (ts) => this.story.before(id, ts),
      onLost: () => this.#sayLost(),
    });
    this.#lastCursor = '';
    this.#drawHead();
    this.story.read(id);
  }

  /** The link that led here names an event that the log has not, or no longer. */
  #sayLost() {
    this.missing.hidden = false;
    setText(this.missing, 'The event of this link is not there any more; this is the newest end of the log.');
  }

  #choose(id) {
    if (id === this.#selected) return;
    this.#pinned = true;
    rename(taskHref(this.#address.task, this.#address.project, id));
    this.#select(id);
  }

  async #pick(id, cursor) {
    this.#choose(id);
    if (cursor) await this.#panel.jump(cursor, { before: true });
  }

  #state(state, detail) {
    report('task', state, detail);
    if (state === 'ended') this.#panel.end();
  }

  #line(id, line, cursor) {
    this.story.append(id, line, this.#lastCursor);
    this.#lastCursor = cursor;
    // Any other is of one message, and their sum is in the news.
    if (line.type === 'usage' && line.total) this.story.put({ id, usage: { ...this.#invocation.usage, ...usageOf(line) } });
    // Of another tool's run only its row says that it has ended.
    if (this.#invocation.managed === false || (line.type !== 'complete' && line.type !== 'error')) return;
    const { outcome, error, duration: durationMs, exitCode, usage } = line;
    const status = line.success ? 'completed' : String(outcome).startsWith('timeout') ? 'timeout' : 'failed';
    this.story.put({ id, status, outcome: outcome ?? 'failed', completedAtMs: line.ts, ...(error && { error }), ...(usage && { usage }), durationMs, exitCode });
    this.#panel.end();
    this.#drawHead();
  }

  /** News from the overview: an invocation of this task began, changed or ended. */
  #news(event) {
    const { task, project } = this.#address;
    const mine = (it) => it.taskId === task && it.project === project;
    if (event.type === 'snapshot') this.#catchUp();
    const all = event.type === 'snapshot' ? [...overview.running.values(), ...overview.recent] : event.type === 'invocation' ? [event.invocation] : [];
    this.#put(all.filter(mine));
  }

  /** After a break: what the overview tells is what runs, and only the newest of what has ended. */
  async #catchUp() {
    this.#panel?.retry();
    if (!this.#hasSnapshot) {
      // What was read just now.
      this.#hasSnapshot = true;
      return;
    }
    const { task, project } = this.#address;
    const { signal } = this.#closed;
    try {
      const { invocations } = await get(taskUrl(task, '', { project }), { signal });
      if (signal.aborted) return;
      this.#put(invocations);
      // Marks that could not be read.
      if (this.#selected) this.story.read(this.#selected);
    } catch {
      // Away again: then it is told anew when that is over.
    }
  }

  #put(news) {
    if (news.length === 0) return;
    const before = new Set(this.story.invocations.map((it) => it.id));
    this.story.put(...news);
    const hasBegun = news.some((it) => !before.has(it.id) && !isOver(it));
    if (!this.#axis) {
      if (hasBegun) this.#openAnew();
      return;
    }
    const next = this.#next();
    if (next && next.id !== this.#selected && this.#goesOn(next)) {
      this.#select(next.id);
      return;
    }
    // No line of its log tells it.
    if (this.#invocation.outcome === 'unrecorded') this.#panel.end();
    this.#drawHead();
    if (hasBegun) this.story.read(this.#selected);
  }

  #openAnew() {
    this.close();
    this.#closed = new AbortController();
    this.#open();
  }

  /** Whoever watched one to its end goes on with the next, and from what waits to what runs. */
  #goesOn(next) {
    if (this.#pinned || !this.#panel.follows) return false;
    return isOver(this.#invocation) || (this.#invocation.status === 'queued' && next.status === 'running');
  }

  #drawHead() {
    const sign = { running: '●', queued: '○', completed: '✓', failed: '✗', timeout: '✗' }[this.#invocation?.status];
    const title = `${sign ? `${sign} ` : ''}${this.#address.task} · steroids`;
    if (document.title !== title) document.title = title;
    this.header.draw(this.#invocation);
    const { usage } = this.#invocation ?? {};
    this.#panel?.estimate(usage?.estimated ? format.cost(usage) : '');
    this.picker.draw(this.story.invocations, this.#selected);
  }
}

function usageOf({ inputTokens, outputTokens, cachedInputTokens, cacheCreationTokens, totalCostUsd }) {
  const usage = { inputTokens, outputTokens, cachedInputTokens, cacheCreationTokens, totalCostUsd };
  return Object.fromEntries(Object.entries(usage).filter(([, value]) => value !== undefined));
}
