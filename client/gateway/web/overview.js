// The overview: what runs now, what ended lately and how, projects, and the tasks of one of them.

import { get, query } from './api.js';
import { h, set, setText } from './dom.js';
import * as format from './format.js';
import { clean } from './clean.js';
import { keyOf } from './overview-model.js';
import { Holds } from './overview-holds.js';
import { onOverview, overview } from './overview-feed.js';
import { endedCard, runningCard, updateRunning } from './overview-cards.js';
import { taskHref, usageHref } from './router.js';

export class Overview {
  #project;
  #stop;
  #ticker;
  /** @type {Map<string, HTMLElement>} */
  #running = new Map();
  #closed = new AbortController();
  /** Whose tasks are listed, or asked for; null where that failed. */
  #tasksOf = null;
  #timesAsked = 0;
  /** Of whose tasks an answer is on its way, and whether they have changed since it was asked for. */
  #asks = null;
  #isStale = false;

  /** @param {HTMLElement} view @param {import('./router.js').Address} address */
  constructor(view, address) {
    document.title = 'steroids';
    set(document.getElementById('crumbs'));
    this.#project = address.project;
    this.running = h('ul', { class: 'cards', data: { test: 'running' } });
    this.holds = new Holds(this.#closed.signal);
    this.recent = h('ul', { class: 'ended', data: { test: 'recent' } });
    this.projects = h('ul', { class: 'projects', data: { test: 'projects' } });
    this.tasks = h('div', { class: 'tasks', data: { test: 'tasks' } });
    this.runningTitle = h('h2', {}, 'Running now');
    this.waiting = h('ul', { class: 'cards', hidden: true, data: { test: 'waiting' } });
    this.waitingTitle = h('h2', { class: 'waiting-title', hidden: true });
    set(view, h('div', { class: 'overview' },
      h('h1', { class: 'visually-hidden' }, 'Overview'),
      h('section', { class: 'area-running', 'aria-label': 'Running now' },
        this.runningTitle, this.holds.element, this.running, this.waitingTitle, this.waiting),
      h('section', { class: 'area-recent', 'aria-label': 'Ended lately' }, h('h2', {}, 'Ended lately'), this.recent),
      h('section', { class: 'area-projects', 'aria-label': 'Projects' }, h('h2', {}, 'Projects'), this.projects,
        h('a', { class: 'to-usage', href: usageHref(), data: { route: '', test: 'to-usage' } }, 'What was used: tokens and money'), this.tasks)));
    this.#stop = onOverview((event) => this.#take(event));
    this.#ticker = setInterval(() => this.#tick(), 1000);
    if (overview.known) this.#drawAll();
  }

  close() {
    this.#stop();
    clearInterval(this.#ticker);
    this.#closed.abort();
  }

  #take(event) {
    this.holds.look(overview.running.values());
    const known = event.type === 'invocation' && this.#running.get(keyOf(event.invocation));
    const runs = known && overview.running.get(keyOf(event.invocation));
    // From one list to the other it goes with all.
    if (runs && known.parentElement === this.#listOf(runs)) {
      updateRunning(known, runs);
      return;
    }
    // What ended while nobody told of it is among the tasks alone.
    if (event.type === 'snapshot') this.#tasksOf = null;
    this.#drawAll();
    if (event.type === 'invocation' && event.invocation.project === this.#tasksOf) this.#showTasks(this.#tasksOf);
  }

  #drawAll() {
    this.holds.look(overview.running.values());
    this.#drawRunning();
    this.#drawRecent();
    this.#drawProjects();
  }

  #listOf(invocation) {
    return invocation.status === 'queued' ? this.waiting : this.running;
  }

  #drawRunning() {
    const elements = new Map();
    const lists = new Map([[this.running, []], [this.waiting, []]]);
    for (const [key, invocation] of overview.running) {
      const element = this.#running.get(key) ?? runningCard(invocation);
      updateRunning(element, invocation);
      elements.set(key, element);
      lists.get(this.#listOf(invocation)).push(element);
    }
    this.#running = elements;
    const running = lists.get(this.running);
    const waiting = lists.get(this.waiting);
    setText(this.runningTitle, running.length ? `Running now · ${running.length}` : 'Running now');
    setText(this.waitingTitle, `Waiting · ${waiting.length}`);
    this.waitingTitle.hidden = this.waiting.hidden = !waiting.length;
    const empty = h('li', { class: 'empty' }, h('p', {}, 'Nothing runs.'), waiting.length ? null : h('p', { class: 'dim' }, 'Start one with ', h('code', {}, 'steroidsctl start --task T'), '; it appears here at once.'));
    const focused = document.activeElement;
    set(this.running, running.length ? running : empty);
    set(this.waiting, waiting);
    if (this.running.contains(focused) || this.waiting.contains(focused)) focused.focus({ preventScroll: true });
  }

  #drawRecent() {
    set(this.recent, overview.recent.length
      ? overview.recent.map((it) => endedCard(it))
      : h('li', { class: 'empty dim' }, 'Nothing has ended yet.'));
  }

  #drawProjects() {
    const { projects } = overview;
    if (projects.length && !projects.some((it) => it.path === this.#project)) this.#project = projects[0].path;
    set(this.projects, projects.length
      ? projects.map((project) => this.#projectItem(project))
      : h('li', { class: 'empty dim' }, 'None yet. ', h('code', {}, 'steroidsctl init'), ' makes a folder one.'));
    if (this.#project && this.#tasksOf !== this.#project) this.#showTasks(this.#project);
  }

  #projectItem(project) {
    const chosen = project.path === this.#project;
    // One whose folder is gone has no rows to count.
    const running = project.running || [...overview.running.values()].filter((it) => it.project === project.path && it.status === 'running').length;
    return h('li', {},
      h('a', { class: 'project', href: `/${query({ project: project.path })}`, data: { project: project.path }, 'aria-current': chosen ? 'true' : null, title: project.path, on: { click: (event) => this.#choose(event, project.path) } },
        h('span', { class: 'project-name' }, clean(format.baseName(project.path))),
        h('bdi', { class: 'project-path mono dim' }, clean(project.path)),
        running ? h('span', { class: 'count-running' }, `${running} running`) : null,
        project.state !== 'ready' ? h('span', { class: 'project-state tone-warn' }, clean(project.reason || format.outcomeText(project.state))) : null));
  }

  #choose(event, path) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    this.#project = path;
    history.replaceState(null, '', `/${query({ project: path })}`);
    this.#drawProjects();
    this.projects.querySelector('[aria-current]')?.focus();
  }

  /** Lists a project's tasks. One question at a time: what has changed meanwhile is one more. */
  async #showTasks(project) {
    this.#tasksOf = project;
    this.#isStale = true;
    if (this.#asks === project) return;
    this.#asks = project;
    const asked = ++this.#timesAsked;
    while (this.#isStale && asked === this.#timesAsked && !this.#closed.signal.aborted) {
      this.#isStale = false;
      await this.#readTasks(project, asked);
    }
    if (asked === this.#timesAsked) this.#asks = null;
  }

  async #readTasks(project, asked) {
    const title = h('h3', {}, 'Tasks of ', clean(format.baseName(project)));
    try {
      const { tasks } = await get(`/api/tasks${query({ project })}`, { signal: this.#closed.signal });
      if (asked !== this.#timesAsked) return;
      tasks.sort((a, b) => (b.lastStartedAtMs ?? 0) - (a.lastStartedAtMs ?? 0));
      set(this.tasks, title, tasks.length ? h('ul', {}, tasks.map((task) => taskItem(task, project))) : h('p', { class: 'dim' }, 'It has no tasks yet.'));
    } catch (error) {
      if (error.name === 'AbortError' || asked !== this.#timesAsked) return;
      // The next news asks again.
      this.#tasksOf = null;
      set(this.tasks, title, h('p', { class: 'tone-warn' }, error.message), error.hint ? h('p', { class: 'dim' }, error.hint) : null);
    }
  }

  #tick() {
    const now = Date.now();
    this.holds.tick(now);
    for (const [key, element] of this.#running) updateRunning(element, overview.running.get(key), now);
    for (const element of this.recent.querySelectorAll('[data-since]')) {
      setText(element, format.age(now - Number(element.dataset.since)));
    }
  }
}

function taskItem(task, project) {
  return h('li', {}, h('a', { class: 'task-item', href: taskHref(task.id, project), data: { route: '', task: task.id } },
    h('bdi', { class: 'task-title' }, clean(task.title || task.id)),
    h('span', { class: 'dim' }, [
      task.running ? `${task.running} running` : clean(format.outcomeText(task.lastOutcome ?? task.lastStatus ?? task.status ?? '')),
      format.plural(task.invocations, 'invocation'),
      task.lastStartedAtMs ? format.moment(task.lastStartedAtMs) : '',
    ].filter(Boolean).join(' · '))));
}
