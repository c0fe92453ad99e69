// What of the overview is shown: what matches a text, and of that one kind. The bar to choose with, and the rules.

import { h, icon, set, setText } from './dom.js';
import { chip, searchInput } from './filter-bar.js';
import { baseName, model, number } from './format.js';
import { isUnresolved } from './overview-failed.js';
import { needsPerson } from './waits.js';

/** @typedef {{text: string, show: string}} Choice */

/** Kinds, by the word that an address has for them; none is all. */
const KINDS = {
  running: { label: 'Running', is: (it) => it.status === 'running' },
  waiting: { label: 'Waiting', is: (it) => it.status === 'queued' },
  needs: { label: 'Needs you', icon: 'person', is: (it, now) => it.status === 'running' && needsPerson(it.live, now) },
  failed: { label: 'Failed, not tried again', icon: 'cross', is: isUnresolved },
};

/** Whether an invocation is of a kind. */
export const isOf = (kind, it, now) => !kind || KINDS[kind].is(it, now);

/**
 * Whether each word of a text is in one of the parts. A path is known by its end, as it is shown, but to who types a slash.
 * @param {string} text
 */
function matcher(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return (project, ...parts) => {
    const shown = [baseName(project), ...parts].filter(Boolean).map((it) => String(it).toLowerCase());
    const path = project.toLowerCase();
    return words.every((word) => (word.includes('/') && path.includes(word)) || shown.some((it) => it.includes(word)));
  };
}

/** @param {string} text @returns {{run: (it: any) => boolean, task: (it: any, project: string) => boolean}} what matches */
export function matching(text) {
  const is = matcher(text);
  return {
    run: (it) => is(it.project, it.taskId, it.role, it.provider, model(it)),
    task: (it, project) => is(project, it.id, it.title),
  };
}

const TYPING_MS = 250;

export class OverviewFilter {
  #changed;
  /** What was typed is not in the address yet. */
  #timer = 0;
  /** The address has an entry of its own for what is being typed. */
  #hasEntry = false;

  /** @param {(choice: Choice, settle: 'later' | 'rename' | 'step') => boolean} changed and what that is to the address; whether that has an entry of its own now */
  constructor(changed) {
    this.#changed = changed;
    this.choice = { text: '', show: '' };
    this.input = searchInput({
      placeholder: 'Task, project, provider', 'aria-label': 'Show what matches a task, a project or a provider', data: { test: 'overview-filter' },
      on: { input: () => this.#typed(), keydown: (event) => this.#key(event), focusout: () => this.#settle() },
    });
    this.chips = Object.entries(KINDS).map(([kind, { label }]) => chip(label, kind, false, () => this.#toggle(kind)));
    this.counter = h('output', { class: 'filter-count', data: { test: 'overview-count' } });
    this.element = h('div', { class: 'filter area-filter', role: 'search', 'aria-label': 'Overview' },
      h('label', { class: 'filter-field' }, icon('search'), this.input),
      h('div', { class: 'chips', role: 'group', 'aria-label': 'Show only' }, this.chips),
      this.counter);
  }

  get isOn() {
    return Boolean(this.choice.text || this.choice.show);
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  /** Shows a choice that was made elsewhere: in the address. */
  put(choice) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#hasEntry = false;
    this.#take(choice);
    this.input.value = choice.text;
  }

  clear() {
    this.#choose({ text: '', show: '' });
    this.input.value = '';
  }

  /** @param {Record<string, number>} counts of each kind @param {boolean} isMore more have failed than are known here */
  count(counts, isMore, shown, all) {
    for (const it of this.chips) {
      const kind = it.dataset.chip;
      const count = `${number(counts[kind])}${kind === 'failed' && isMore ? '+' : ''}`;
      it.toggleAttribute('data-some', counts[kind] > 0);
      const sign = counts[kind] > 0 && KINDS[kind].icon;
      if (it.dataset.count === `${count} ${sign}`) continue;
      it.dataset.count = `${count} ${sign}`;
      set(it, sign && icon(sign), KINDS[kind].label, h('span', { class: 'chip-count' }, count));
    }
    setText(this.counter, this.isOn ? `${number(shown)} of ${number(all)}` : '');
  }

  #take(choice) {
    this.choice = choice;
    for (const it of this.chips) it.setAttribute('aria-pressed', String(it.dataset.chip === choice.show));
  }

  #toggle(kind) {
    this.#settle();
    this.#choose({ ...this.choice, show: this.choice.show === kind ? '' : kind });
  }

  /** A choice that is a step by itself. */
  #choose(choice) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#hasEntry = false;
    if (JSON.stringify(choice) === JSON.stringify(this.choice)) return;
    this.#take(choice);
    this.#changed(choice, 'step');
  }

  #typed() {
    const text = this.input.value.trim();
    if (text === this.choice.text) return;
    this.#take({ ...this.choice, text });
    // A browser refuses addresses that change with each letter of a key that is held.
    this.#changed(this.choice, 'later');
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#write(), TYPING_MS);
  }

  #write() {
    this.#timer = 0;
    this.#hasEntry = this.#changed(this.choice, this.#hasEntry ? 'rename' : 'step');
  }

  /** Nothing more is written: another view has the address. */
  close() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  /** What is typed next is another step. */
  #settle() {
    clearTimeout(this.#timer);
    if (this.#timer) this.#write();
    this.#hasEntry = false;
  }

  #key(event) {
    if (event.key === 'Enter') this.#settle();
    if (event.key !== 'Escape') return;
    event.preventDefault();
    if (this.isOn) this.clear();
    else document.getElementById('view').focus();
  }
}
