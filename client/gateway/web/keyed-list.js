// Lists whose items stay the elements they are for as long as nothing of them changes: what is selected, focused or
// scrolled to stays, and one that changes among a thousand costs one.

/** Has a list hold these elements in this order, and moves only those that stand elsewhere. */
export function arrange(list, elements) {
  const wanted = new Set(elements);
  for (const element of [...list.children]) if (!wanted.has(element)) element.remove();
  let next = list.firstElementChild;
  for (const element of elements) {
    if (element === next) next = next.nextElementSibling;
    else list.insertBefore(element, next);
  }
}

/** Runs what moves items, and leaves the focus where it was, or on what has taken the place of its item. */
export function keepingFocus(act) {
  const focused = document.activeElement;
  const item = focused?.closest('li');
  const list = item?.parentElement;
  const place = list ? [...list.children].indexOf(item) : -1;
  act();
  if (place < 0 || document.activeElement === focused) return;
  const follower = list.children[Math.min(place, list.children.length - 1)];
  const target = focused.isConnected ? focused : follower?.querySelector('a, button');
  target?.focus({ preventScroll: true });
}

export class KeyedList {
  /** @type {Map<string, {item: any, sign: string, element: HTMLElement}>} */
  #shown = new Map();

  /** @param {HTMLElement} list @param {(item: any) => HTMLElement} make makes the element of an item */
  constructor(list, make) {
    this.element = list;
    this.make = make;
  }

  /** @param {[string, any][]} items each with what it is known by */
  draw(items) {
    const before = this.#shown;
    this.#shown = new Map(items.map(([key, item]) => [key, this.#entry(before.get(key), item)]));
    keepingFocus(() => arrange(this.element, [...this.#shown.values()].map((it) => it.element)));
  }

  #entry(known, item) {
    if (known?.item === item) return known;
    const sign = JSON.stringify(item);
    return { item, sign, element: known?.sign === sign ? known.element : this.make(item) };
  }
}
