// The invocations of a task, to choose the one whose activity is shown.

import { clean } from './clean.js';
import { h, icon, set } from './dom.js';
import * as format from './format.js';

const MARKS = { completed: ['check', 'good'], failed: ['cross', 'bad'], timeout: ['clock', 'warn'] };

export class InvocationPicker {
  #drawn = '';

  /** @param {(id: number) => void} chosen */
  constructor(chosen) {
    this.element = h('div', { class: 'picker', role: 'group', 'aria-label': 'Invocations', data: { test: 'invocations' } });
    this.element.addEventListener('click', (event) => {
      const item = event.target.closest('[data-invocation]');
      if (item) chosen(Number(item.dataset.invocation));
    });
  }

  draw(invocations, selected) {
    // Newest first, so that the one that runs is in sight.
    const shape = JSON.stringify([selected, invocations.map((it) => [it.id, it.status, it.outcome, it.role])]);
    if (shape === this.#drawn) return;
    this.#drawn = shape;
    const focused = this.element.contains(document.activeElement);
    set(this.element, invocations.toReversed().map((it) => item(it, it.id === selected)));
    const current = this.element.querySelector('[aria-pressed=true]');
    if (focused) current?.focus();
    current?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }
}

function item(it, selected) {
  const [mark, tone] = MARKS[it.status] ?? [];
  const said = it.outcome ? format.outcomeText(it.outcome) : it.status;
  return h('button', { type: 'button', class: 'picker-item', 'aria-pressed': String(selected), title: said, data: { invocation: it.id, status: it.status } },
    mark ? h('span', { class: `tone-${tone}` }, icon(mark)) : h('span', { class: 'spinner', 'aria-hidden': 'true' }),
    h('span', {}, `#${it.id}`), h('span', { class: 'dim' }, clean(it.role)),
    it.startedAtMs ? h('span', { class: 'dim picker-when' }, format.moment(it.startedAtMs)) : null,
    h('span', { class: 'visually-hidden' }, said));
}
