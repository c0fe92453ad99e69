// The filter above the activity: a text, and which groups of lines are shown.

import { h, icon, setText } from './dom.js';
import * as format from './format.js';
import { DEFAULT_GROUPS, GROUPS } from './line-types.js';

const TYPING_MS = 250;

export class FilterBar {
  #choice = { text: '', groups: [...DEFAULT_GROUPS], failed: false };
  #timer = 0;

  /** @param {(choice: import('./line-types.js').Choice) => void} changed */
  constructor(changed) {
    this.changed = changed;
    this.input = searchInput({
      placeholder: 'Filter', 'aria-label': 'Filter the activity by text', data: { test: 'filter' },
      on: { input: () => this.#typed(), keydown: (event) => this.#key(event) },
    });
    this.counter = h('output', { class: 'filter-count', data: { test: 'count' } });
    this.chips = GROUPS.map((group) => chip(group.label, group.id, group.on, () => this.#toggle(group.id)));
    this.failed = chip('Failed only', 'failed', false, () => this.#toggleFailed());
    this.element = h('div', { class: 'filter', role: 'search', 'aria-label': 'Activity' },
      h('label', { class: 'filter-field' }, icon('search'), this.input),
      h('div', { class: 'chips', role: 'group', 'aria-label': 'Kinds of lines' }, this.chips, this.failed),
      this.counter);
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  count(lines) {
    setText(this.counter, format.plural(lines, 'event'));
  }

  busy(busy) {
    this.element.dataset.busy = String(busy);
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#change({ text: this.input.value.trim() }), TYPING_MS);
  }

  #key(event) {
    if (event.key === 'Escape') {
      if (this.input.value) {
        this.input.value = '';
        this.#typed();
      } else {
        this.element.parentElement.querySelector('.list').focus();
      }
      event.preventDefault();
    } else if (event.key === 'Enter') {
      clearTimeout(this.#timer);
      this.#change({ text: this.input.value.trim() });
    }
  }

  #toggle(id) {
    const { groups } = this.#choice;
    const next = groups.includes(id) ? groups.filter((it) => it !== id) : [...groups, id];
    this.#change({ groups: GROUPS.map((group) => group.id).filter((it) => next.includes(it)), failed: false });
  }

  #toggleFailed() {
    this.#change({ failed: !this.#choice.failed });
  }

  #change(part) {
    const next = { ...this.#choice, ...part };
    if (JSON.stringify(next) === JSON.stringify(this.#choice)) return;
    this.#choice = next;
    for (const element of this.chips) {
      element.setAttribute('aria-pressed', String(!next.failed && next.groups.includes(element.dataset.chip)));
    }
    this.failed.setAttribute('aria-pressed', String(next.failed));
    this.changed(next);
  }
}

/** A field to type a filter into. */
export function searchInput(attributes) {
  return h('input', {
    type: 'search', class: 'filter-text', 'aria-keyshortcuts': '/', spellcheck: 'false', autocomplete: 'off', maxlength: 500, ...attributes,
  });
}

/** A button that is on or off. */
export function chip(label, id, on, pressed) {
  return h('button', { type: 'button', class: 'chip', 'aria-pressed': String(on), data: { chip: id }, on: { click: pressed } }, label);
}
