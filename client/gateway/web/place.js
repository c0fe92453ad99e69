// Where somebody is in a list: what stands where on the screen, and which item they chose last. Known by what the items are and
// not by how far it is to them: what came or went above them meanwhile moves nothing.

const ITEMS = 'li[data-invocation], a[data-task], a.project';

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

/** Brings a list back to a place. @param {HTMLElement} view @param {Place} place @returns {boolean} whether all of it is there by now */
export function putBack(view, place) {
  const chosen = find(view, place.chosen);
  const isFree = document.activeElement === document.body || document.activeElement === view;
  if (chosen && isFree) (chosen.querySelector('.item-link') ?? chosen).focus({ preventScroll: true });
  if (!place.first) return chosen !== undefined || !place.chosen;
  const first = find(view, place.first);
  if (!first) {
    view.scrollTop = place.top;
    return false;
  }
  const wrong = () => first.getBoundingClientRect().top - view.getBoundingClientRect().top - place.offset;
  view.scrollTop += wrong();
  return Math.abs(wrong()) < 1;
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
