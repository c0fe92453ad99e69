// Providers of which nothing is started for now, and until when: asked for whenever what waits, or why, has changed.

import { get } from './api.js';
import { asking } from './asking.js';
import { clean } from './clean.js';
import { h, set } from './dom.js';
import * as format from './format.js';

export class Holds {
  #signal;
  #holds = [];
  #waits = '';
  #shown = '';
  #ask;

  /** @param {AbortSignal} signal ends what is asked */
  constructor(signal) {
    this.#signal = signal;
    this.#ask = asking(() => this.#read(), signal);
    this.element = h('ul', { class: 'holds', hidden: true, 'aria-label': 'Held providers', data: { test: 'holds' } });
  }

  /** Looks at what runs and waits. */
  look(running) {
    const waits = [...running].filter((it) => it.status === 'queued').map((it) => `${it.project} ${it.id} ${it.waiting}`).join('\n');
    if (waits === this.#waits) return;
    this.#waits = waits;
    this.#ask();
  }

  async #read() {
    // Where nobody answers, what was known stays: that the daemon is away is said elsewhere.
    await get('/api/status', { signal: this.#signal }).then(({ holds }) => { this.#holds = holds ?? this.#holds; }, () => {});
    this.tick();
  }

  /** One whose time has come is over. */
  tick(now = Date.now()) {
    this.#holds = this.#holds.filter((it) => it.untilMs > now);
    const shown = JSON.stringify(this.#holds);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.element.hidden = !this.#holds.length;
    set(this.element, this.#holds.map((it) => h('li', {},
      h('strong', {}, clean(it.provider)), ` is held until ${format.moment(it.untilMs)}: `, clean(it.reason))));
  }
}
