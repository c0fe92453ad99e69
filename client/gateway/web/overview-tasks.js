// The overview's list of tasks: those of the chosen project, or of all projects those that match a text.

import { get, query } from './api.js';
import { asking } from './asking.js';
import { clean } from './clean.js';
import { h, set } from './dom.js';
import * as format from './format.js';
import { arrange, KeyedList } from './keyed-list.js';
import { taskHref } from './router.js';

/** More of a project nobody looks through; who looks for one types its name. */
const MOST_SHOWN = 200;

export class Tasks {
  #signal;
  /** @type {Map<string, Group>} by project */
  #groups = new Map();
  #wanted = [];
  #matches = null;
  #drawn;

  /** @param {AbortSignal} signal ends what is asked @param {() => void} drawn hears that what was asked for is shown */
  constructor(signal, drawn) {
    this.#signal = signal;
    this.#drawn = drawn;
    this.nothing = h('p', { class: 'dim' }, 'No task matches.');
    this.element = h('div', { class: 'tasks', data: { test: 'tasks' } });
  }

  /**
   * Shows those of these projects, and asks for what is not known of them.
   * @param {string[]} projects @param {((task: any, project: string) => boolean) | null} matches null: all
   */
  show(projects, matches) {
    this.#wanted = projects;
    this.#matches = matches;
    for (const project of projects) {
      if (!this.#groups.has(project)) this.#groups.set(project, new Group(project, this.#signal, () => {
        this.#draw();
        this.#drawn();
      }));
      this.#groups.get(project).want();
    }
    this.#draw();
  }

  /** Those of a project have changed. */
  changed(project) {
    const group = this.#groups.get(project);
    if (group) group.isKnown = false;
    if (group && this.#wanted.includes(project)) group.want();
  }

  /** What ended while nobody told of it is among the tasks alone. */
  forget() {
    for (const group of this.#groups.values()) group.isKnown = false;
  }

  /** All that is wanted has been asked for, and answered. */
  get isRead() {
    return this.#wanted.every((project) => this.#groups.get(project).isRead);
  }

  #draw() {
    const groups = this.#wanted.map((project) => this.#groups.get(project));
    const shown = groups.filter((group) => group.draw(this.#matches)).map((group) => group.element);
    arrange(this.element, shown.length || !this.#matches || !groups.every((group) => group.isKnown) ? shown : [this.nothing]);
  }
}

/** The tasks of one project. */
class Group {
  #changed;
  /** @type {any[] | null} */
  #tasks = null;
  #error = null;
  isKnown = false;

  constructor(project, signal, changed) {
    this.project = project;
    this.#changed = changed;
    this.ask = asking(() => this.#read(signal), signal);
    this.note = h('div', {});
    const list = h('ul', {});
    this.list = new KeyedList(list, (task) => taskItem(task, project));
    this.element = h('div', {}, h('h3', {}, 'Tasks of ', clean(format.baseName(project))), list, this.note);
  }

  want() {
    if (this.isKnown) return;
    this.isKnown = true;
    this.ask();
  }

  async #read(signal) {
    try {
      const { tasks } = await get(`/api/tasks${query({ project: this.project })}`, { signal });
      tasks.sort((a, b) => (b.lastStartedAtMs ?? 0) - (a.lastStartedAtMs ?? 0));
      this.#tasks = tasks;
      this.#error = null;
    } catch (error) {
      if (error.name === 'AbortError') return;
      // The next news asks again.
      this.isKnown = false;
      this.#error = error;
    }
    this.#changed();
  }

  get isRead() {
    return Boolean(this.#tasks || this.#error);
  }

  /** @returns {boolean} whether there is something to show */
  draw(matches) {
    const known = this.#error ? [] : this.#tasks ?? [];
    const found = matches ? known.filter((task) => matches(task, this.project)) : known;
    this.list.draw(found.slice(0, MOST_SHOWN).map((task) => [task.id, task]));
    const more = found.length - MOST_SHOWN;
    const said = this.#error ? [h('p', { class: 'tone-warn' }, this.#error.message), this.#error.hint ? h('p', { class: 'dim' }, this.#error.hint) : null]
      : !this.#tasks ? null
      : !known.length ? h('p', { class: 'dim' }, 'It has no tasks yet.')
      : more > 0 ? h('p', { class: 'dim' }, `${format.number(more)} more: type a part of a name above.`) : null;
    set(this.note, said);
    return matches ? found.length > 0 || Boolean(this.#error) : this.isRead;
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
