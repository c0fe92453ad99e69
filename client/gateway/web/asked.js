// What an invocation was asked: its prompt, its command, its terms. Read when somebody opens it.

import { get, invocationUrl } from './api.js';
import { clean } from './clean.js';
import { h, set } from './dom.js';
import * as format from './format.js';

export class Asked {
  #invocation = null;

  constructor(project) {
    this.project = project;
    this.body = h('div', { class: 'asked-body' });
    this.element = h('details', { class: 'asked', hidden: true, data: { test: 'asked' } }, h('summary', {}, 'What it was asked'), this.body);
    this.element.addEventListener('toggle', () => this.element.open && this.#read());
  }

  /** That of another invocation is read when it is opened; an open one stays open. */
  draw(invocation) {
    if (this.#invocation?.id === invocation?.id) return;
    this.#invocation = invocation;
    this.element.hidden = !invocation;
    set(this.body);
    if (this.element.open && invocation) this.#read();
  }

  async #read() {
    const asked = this.#invocation;
    if (!asked) return;
    const { id, taskId } = asked;
    try {
      const { invocation } = await get(invocationUrl(taskId, id, '', { project: this.project }));
      if (this.#invocation === asked) set(this.body, parts(invocation));
    } catch (error) {
      if (this.#invocation === asked) set(this.body, h('p', { class: 'tone-bad' }, clean(error.message)));
    }
  }
}

function parts({ prompt, terms }) {
  const facts = terms ? [
    ['Command', terms.argv.map(format.shellWord).join(' ')],
    ['Variables', (terms.env ?? []).join(', ')],
    ['Limits', limits(terms.limits)],
    ['Retries', terms.retry ? `after ${terms.retry.on.join(', ')}, at most ${terms.retry.max}` : ''],
    ['Budget', budget(terms.budget)],
  ].filter(([, value]) => value) : [];
  return [
    prompt && h('pre', { class: 'asked-prompt' }, clean(prompt)),
    facts.length > 0 && h('dl', { class: 'asked-terms' }, facts.map(([label, value]) => [h('dt', {}, label), h('dd', { class: 'mono' }, clean(value))])),
    !prompt && !facts.length && h('p', { class: 'dim' }, 'Nothing is kept of it.'),
  ];
}

function limits({ silenceMs, toolSilenceMs, wallMs, postResultMs, graceMs }) {
  const all = [['silence', silenceMs], ['tool silence', toolSilenceMs], ['wall', wallMs], ['after its result', postResultMs], ['grace', graceMs]];
  return all.filter(([, ms]) => ms).map(([name, ms]) => `${name} ${format.duration(ms)}`).join(', ');
}

function budget(it) {
  if (!it) return '';
  const most = [it.usd && `$${it.usd.toFixed(2)}`, it.tokens && `${it.tokens} tokens`].filter(Boolean).join(', ');
  if (!most) return it.stop ? 'it is stopped when that of its task or day is reached' : '';
  return `${most}; it is ${it.stop ? 'stopped' : 'told'} then`;
}
