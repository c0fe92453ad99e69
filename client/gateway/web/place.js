// Where somebody is in a list: what stands where on the screen, and which item they chose last. Known by what the items are and
// not by how far it is to them: what came or went above them meanwhile moves nothing.

const ITEMS = 'li[data-invocation], a[data-task], a.project';
/** What somebody does. Anywhere: behind a Back the focus is on nothing. */
const OWN = ['wheel', 'pointerdown', 'keydown', 'touchmove'];
/** In frames. */
const CALM = 10;

/** @typedef {{first: string | null, offset: number, top: number, chosen: string | null}} Place */

const nameOf = (item) => item.getAttribute('href') ?? `${item.dataset.project}\n${item.dataset.invocation}`;

const find = (view, name) => (name ? [...view.querySelectorAll(ITEMS)].find((it) => nameOf(it) === name) : undefined);

/** @param {HTMLElement} view what scrolls @returns {Place} */
export function placeIn(view) {
  const { top, bottom } = view.getBoundingClientRect();
  const chosen = document.activeElement?.closest(ITEMS);
  const isSeen = (it) => it.getBoundingClientRect().bottom > top && it.getBoundingClientRect().top < bottom;
  // By the chosen one, as that is what is looked at. At its very top somebody is with what comes there.
  const first = view.scrollTop > 0 ? [chosen, ...view.querySelectorAll(ITEMS)].find((it) => it && isSeen(it)) : null;
  return {
    first: first ? nameOf(first) : null,
    offset: first ? first.getBoundingClientRect().top - top : 0,
    top: view.scrollTop,
    chosen: chosen ? nameOf(chosen) : null,
  };
}

/** Brings a list back to a place, as far as it is there. @param {HTMLElement} view @param {Place} place */
function putBack(view, place) {
  const chosen = find(view, place.chosen);
  const isFree = document.activeElement === document.body || document.activeElement === view;
  if (chosen && isFree) (chosen.querySelector('.item-link') ?? chosen).focus({ preventScroll: true });
  if (!place.first) return;
  const first = find(view, place.first);
  if (first) view.scrollTop += first.getBoundingClientRect().top - view.getBoundingClientRect().top - place.offset;
  // It is not there yet, or not any more.
  else view.scrollTop = place.top;
}

/** Whether all that is seen has its own size by now: of what was out of sight a browser guesses it. @param {HTMLElement} view */
export function isLaidOut(view) {
  const { top, bottom } = view.getBoundingClientRect();
  return [...view.querySelectorAll(ITEMS)].every((it) => {
    const place = it.getBoundingClientRect();
    const isSeen = place.height > 0 && place.bottom > top && place.top < bottom;
    return !isSeen || it.firstElementChild.checkVisibility({ contentVisibilityAuto: true });
  });
}

/**
 * Somebody's way back to a place. What is read, and laid out for the first time, moves it: they are brought there again until
 * all is read and nothing has moved it for some frames, also where what was there is gone. Who does anything is left alone.
 */
export class WayBack {
  #view;
  #place;
  #isRead;
  #over = new AbortController();
  /** Where they were brought. @type {number | null} */
  #top = null;
  #calm = 0;

  /** @param {HTMLElement} view what scrolls @param {Place} place @param {() => boolean} isRead whether nothing more is to come by itself */
  constructor(view, place, isRead) {
    this.#view = view;
    this.#place = place;
    this.#isRead = isRead;
    const { signal } = this.#over;
    for (const own of OWN) document.addEventListener(own, () => this.end(), { signal, passive: true, capture: true });
    // What the browser moves by itself would look like what somebody has moved.
    view.style.overflowAnchor = 'none';
    signal.addEventListener('abort', () => { view.style.overflowAnchor = ''; });
  }

  end() {
    this.#over.abort();
  }

  /** Goes on with what has been drawn now. */
  go() {
    const isFirst = this.#top === null;
    this.#bring();
    if (isFirst) this.#nextFrame();
  }

  #bring() {
    if (this.#isMoved()) this.end();
    if (this.#over.signal.aborted) return;
    putBack(this.#view, this.#place);
    this.#top = this.#view.scrollTop;
  }

  /** By a scrollbar or a screen reader, of which no event tells. A list that has become shorter ends where it is. */
  #isMoved() {
    const { scrollTop, scrollHeight, clientHeight } = this.#view;
    const isAtEnd = scrollTop + clientHeight > scrollHeight - 1;
    return this.#top !== null && Math.abs(scrollTop - this.#top) > 1 && !isAtEnd;
  }

  #nextFrame() {
    if (this.#over.signal.aborted) return;
    requestAnimationFrame(() => {
      const before = this.#top;
      this.#bring();
      const isCalm = this.#isRead() && this.#top === before && isLaidOut(this.#view);
      this.#calm = isCalm ? this.#calm + 1 : 0;
      if (this.#calm > CALM) this.end();
      this.#nextFrame();
    });
  }
}
