// Providers of which nothing is started for now, and until when: shown also where nothing waits, as whoever starts
// something next is to know.

import { clean } from './clean.js';
import { h, set } from './dom.js';
import * as format from './format.js';

export class Holds {
  #shown = '[]';

  constructor() {
    this.element = h('ul', { class: 'holds', hidden: true, 'aria-label': 'Held providers', data: { test: 'holds' } });
  }

  /** One whose time has come is over. */
  draw(holds, now = Date.now()) {
    const held = holds.filter((it) => it.untilMs > now);
    const shown = JSON.stringify(held);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.element.hidden = !held.length;
    set(this.element, held.map((it) => h('li', {},
      h('strong', {}, clean(it.provider)), ` is held until ${format.moment(it.untilMs)}: `, clean(it.reason))));
  }
}
