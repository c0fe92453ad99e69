// The foot of the list of what failed: how far was looked, and a way to go on. Whoever scrolls to it goes on by that.

import { failed } from './overview-failed.js';
import { h, setText } from './dom.js';
import { plural } from './format.js';

export class More {
  #watch;
  #isSeen = false;
  #said = h('span', { role: 'status', tabindex: -1 });
  #button = h('button', { type: 'button', class: 'button small', data: { test: 'overview-further' }, on: { click: () => failed.goOn() } });

  /** @param {HTMLElement} view what scrolls @param {AbortSignal} signal ends it */
  constructor(view, signal) {
    this.element = h('p', { class: 'older dim', hidden: true, data: { test: 'overview-more' } }, this.#said, ' ', this.#button);
    this.#watch = new IntersectionObserver(([{ isIntersecting }]) => {
      this.#isSeen = isIntersecting;
      this.#goOn();
    }, { root: view, rootMargin: '400px' });
    this.#watch.observe(this.element);
    signal.addEventListener('abort', () => this.#watch.disconnect());
  }

  draw(isShown) {
    const { state, looked } = failed;
    this.element.hidden = !isShown || state === 'unknown';
    const runs = `the newest ${plural(looked, 'run')} that failed`;
    setText(this.#said, {
      unknown: '',
      more: `Looked through ${runs}.`,
      older: 'These are of the last three days.',
      end: 'There are no others.',
      full: 'More than these are not shown: type a part of a name above, or in a terminal: steroidsctl list --all --unresolved --limit 10000',
    }[state]);
    const isLast = state === 'full' || state === 'end';
    // Who pressed it stays where they are.
    if (isLast && document.activeElement === this.#button) this.#said.focus({ preventScroll: true });
    this.#button.hidden = isLast;
    setText(this.#button, state === 'older' ? 'Look for older ones' : 'Look further');
    // Another text begins at the first page again.
    this.#goOn();
  }

  /** A page has been read: one that was not, as nobody answered, is read when somebody says so. */
  read(isAnswered) {
    this.#isSeen = false;
    if (!isAnswered) return;
    // Told anew whether it is still in sight, where the list has it now.
    this.#watch.unobserve(this.element);
    this.#watch.observe(this.element);
  }

  #goOn() {
    // What is older than some days is not what anybody scrolls into without a word.
    if (this.#isSeen && !this.element.hidden && failed.state === 'more') failed.goOn();
  }
}
