// A list of any length of which only what is visible is in the page. Rows may have any height: they
// are laid out as they are and measured, and what is known of heights lives and dies with the rows'
// chunks in memory.
//
// What is looked at is held by an anchor, a row and how far its top is from the list's: when heights
// turn out different above, or rows come and go, the anchor stays where it is on the screen. The
// scroll bar follows the anchor, not the other way round: `base` is what lies between its position
// and the place in the whole list, as browsers allow no element high enough for a million rows.

const MOST_PIXELS = 8_000_000;
const OVERSCAN = 8;
const SETTLE_MS = 180;

export class VirtualList {
  /** Whether it shows the end and goes on with it. */
  follow = true;
  #source = null;
  #anchor = { index: 0, delta: 0 };
  #base = 0;
  #scrolled = 0;
  #frame = 0;
  #settle = 0;
  #drawn = new Map();
  #resizes;
  #spacer;
  #rows;
  #render;
  #onView;
  #onFollow;
  /** Sizes as last seen; asking the browser for them would make it lay out the page. */
  #width = 0;
  #height = 0;
  #pixels = 0;

  /**
   * @param {{scroller: HTMLElement, rowHeight: number,
   *   render: (row: any, index: number) => HTMLElement,
   *   onView: (first: number, last: number) => void, onFollow: (follow: boolean) => void}} options
   *   `render` draws a row, or a placeholder where it gets undefined.
   */
  constructor({ scroller, rowHeight, render, onView, onFollow }) {
    this.scroller = scroller;
    this.rowHeight = rowHeight;
    this.#render = render;
    this.#onView = onView;
    this.#onFollow = onFollow;
    this.#spacer = document.createElement('div');
    this.#spacer.className = 'list-spacer';
    this.#rows = document.createElement('div');
    this.#rows.className = 'list-rows';
    for (const layer of [this.#spacer, this.#rows]) layer.setAttribute('role', 'presentation');
    this.#spacer.append(this.#rows);
    scroller.append(this.#spacer);
    scroller.addEventListener('scroll', () => this.#onScroll(), { passive: true });
    this.#resizes = new ResizeObserver(() => this.#onResize());
    this.#resizes.observe(scroller);
  }

  /** Draws no more: what leaves the document has no size any more, and is told so. */
  close() {
    this.#resizes.disconnect();
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#settle);
    this.#source = null;
  }

  /** Shows another source: `count`, `row(i)`, `chunks`, `chunkRows`, `setHeight`, `want`. */
  show(source) {
    this.#source = source;
    this.#height = this.scroller.clientHeight;
    this.#width = this.scroller.clientWidth;
    this.#clear();
    this.#anchor = { index: 0, delta: 0 };
    this.draw();
  }

  /** Draws before the next frame. */
  schedule() {
    this.#frame ||= requestAnimationFrame(() => this.draw());
  }

  /** Draws rows anew although they have not changed. */
  redraw() {
    this.#clear();
    this.draw();
  }

  element(index) {
    return this.#drawn.get(index)?.element;
  }

  /** Rows at the edges of what is seen. */
  visible() {
    const top = this.#place();
    const height = this.#height;
    const last = this.#find(top + height - 1).index;
    return { first: this.#find(top).index, last: Math.min(last, Math.max(0, this.#source.count - 1)) };
  }

  /** Brings a row into sight; `align` is where: 0 the top, 1 the bottom, null as near as it is. */
  scrollTo(index, align = null) {
    this.#onScroll();
    const height = this.#height;
    if (align === null) {
      const y = this.#offset(index) - this.#place();
      const own = this.#source.row(index)?.height || this.rowHeight;
      if (y < 0) this.#anchor = { index, delta: 8 };
      else if (y + own > height) this.#anchor = { index, delta: Math.max(0, height - own - 8) };
      else return;
    } else {
      this.#anchor = { index, delta: Math.round((height - this.rowHeight) * align) };
    }
    this.setFollow(false);
    this.draw();
    this.#sync();
  }

  setFollow(follow) {
    if (this.follow === follow) return;
    this.follow = follow;
    this.#onFollow(follow);
  }

  toEnd() {
    this.#onScroll();
    this.setFollow(true);
    this.draw();
    this.#sync();
  }

  /** Moves by pixels, as a key does. */
  by(pixels) {
    if (pixels < 0) this.setFollow(false);
    this.scroller.scrollTop += pixels;
    this.#onScroll();
  }

  draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const source = this.#source;
    if (!source) return;
    const height = this.#height;
    // Where all of it is in sight, the end is.
    if (!this.follow && this.#total() <= height) this.setFollow(true);
    let range = { first: 0, last: -1 };
    // Twice: the first pass may measure rows that shift the rest.
    for (let pass = 0; pass < 3; pass += 1) {
      const top = this.#hold(height);
      const first = Math.max(0, this.#find(top).index - OVERSCAN);
      const last = Math.min(source.count - 1, this.#find(top + height).index + OVERSCAN);
      range = { first, last };
      this.#reconcile(first, last);
      if (!this.#measure(first, last)) break;
    }
    this.#position(range.first, height);
    this.#onView(range.first, range.last);
  }

  /** Where the view begins in the whole list; the anchor is put right where there is no more to see. */
  #hold(height) {
    const most = Math.max(0, this.#total() - height);
    const top = this.follow ? most : Math.min(most, Math.max(0, this.#place()));
    this.#anchorAt(top);
    return top;
  }

  #place() {
    return this.#offset(this.#anchor.index) - this.#anchor.delta;
  }

  #anchorAt(top) {
    const { index, offset } = this.#find(top);
    this.#anchor = { index, delta: offset - top };
  }

  #position(first, height) {
    const total = this.#total();
    const top = this.#place();
    const pixels = Math.round(Math.max(Math.min(total, MOST_PIXELS), height));
    if (this.#pixels !== pixels) this.#spacer.style.height = `${pixels}px`;
    this.#pixels = pixels;
    if (this.follow) {
      this.#scrollBar(pixels - height);
    } else if (this.#scrolled > pixels - height) {
      this.#scrollBar(pixels - height);
    }
    this.#base = top - this.#scrolled;
    this.#rows.style.transform = `translateY(${this.#offset(first) - this.#base}px)`;
  }

  /** Puts the scroll bar where it belongs; what is seen stays. */
  #sync() {
    const height = this.#height;
    const total = this.#total();
    const pixels = Math.max(Math.min(total, MOST_PIXELS), height);
    const top = this.#place();
    const at = total > MOST_PIXELS ? (top / (total - height)) * (pixels - height) : top;
    if (Math.abs(at - this.#scrolled) < 1) return;
    this.#scrollBar(at);
    this.draw();
  }

  #scrollBar(at) {
    if (Math.abs(this.#scrolled - at) < 1) return;
    this.scroller.scrollTop = at;
    this.#scrolled = this.scroller.scrollTop;
  }

  /** Takes in where it was scrolled to. The browser tells of that a frame later, when a key may have led elsewhere. */
  #onScroll() {
    const { scrollTop } = this.scroller;
    const height = this.#height;
    const moved = scrollTop - this.#scrolled;
    if (!this.#source || Math.abs(moved) < 1) return;
    this.#scrolled = scrollTop;
    const total = this.#total();
    const range = this.#pixels - height;
    let top = this.#place() + moved;
    // A jump is a drag of the scroll bar: it means a part of the whole.
    if (Math.abs(moved) > height * 1.5 && range > 0) top = (scrollTop / range) * Math.max(0, total - height);
    this.setFollow(moved >= 0 && top >= total - height - 2);
    this.#anchorAt(Math.min(Math.max(0, top), Math.max(0, total - height)));
    this.draw();
    // At an edge of the bar but not of the list, or the other way round: at once, else when it rests.
    if (scrollTop <= 0 || scrollTop >= range - 1) this.#sync();
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => this.#sync(), SETTLE_MS);
  }

  #onResize() {
    this.#height = this.scroller.clientHeight;
    if (!this.#source) return;
    if (this.scroller.clientWidth !== this.#width) {
      this.#width = this.scroller.clientWidth;
      this.#source.forgetHeights();
      for (const drawn of this.#drawn.values()) drawn.measured = false;
    }
    this.draw();
    this.#sync();
  }

  #reconcile(first, last) {
    for (const [index, { element }] of this.#drawn) {
      if (index >= first && index <= last) continue;
      if (element.contains(document.activeElement)) this.scroller.focus({ preventScroll: true });
      element.remove();
      this.#drawn.delete(index);
    }
    let next = this.#rows.firstChild;
    for (let index = first; index <= last; index += 1) {
      const row = this.#source.row(index);
      const drawn = this.#drawn.get(index);
      if (drawn && drawn.row === row && drawn.version === (row?.version ?? -1)) {
        next = drawn.element.nextSibling;
        continue;
      }
      const element = this.#render(row, index);
      this.#drawn.set(index, { element, row, version: row?.version ?? -1, measured: false });
      if (drawn) this.#swap(drawn.element, element);
      else this.#rows.insertBefore(element, next);
      next = element.nextSibling;
    }
  }

  /** Replaces a row; focus within it goes to the same control of the new one. */
  #swap(old, element) {
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    old.replaceWith(element);
    if (!focused) return;
    const action = focused.dataset.action;
    const same = action && element.querySelector(`[data-action="${action}"]`);
    (same ?? element).focus({ preventScroll: true });
  }

  /** @returns {boolean} whether a height was other than thought */
  #measure(first, last) {
    let changed = false;
    for (let index = first; index <= last; index += 1) {
      const drawn = this.#drawn.get(index);
      if (!drawn?.row || drawn.measured) continue;
      drawn.measured = true;
      const height = drawn.element.offsetHeight;
      if (height === (drawn.row.height || this.rowHeight)) continue;
      this.#source.setHeight(index, height, this.rowHeight);
      changed = true;
    }
    return changed;
  }

  #clear() {
    this.#rows.replaceChildren();
    this.#drawn.clear();
  }

  /** Measured chunks, in order. */
  #measured() {
    return [...this.#source.chunks].filter(([, chunk]) => chunk.extra !== 0).sort(([a], [b]) => a - b);
  }

  #total() {
    let extra = 0;
    for (const chunk of this.#source.chunks.values()) extra += chunk.extra;
    return this.#source.count * this.rowHeight + extra;
  }

  /** How far a row's top is from the top of the whole. */
  #offset(index) {
    const { chunks, chunkRows } = this.#source;
    let offset = index * this.rowHeight;
    for (const [at, chunk] of chunks) {
      const start = at * chunkRows;
      if (start >= index || chunk.extra === 0) continue;
      if (start + chunk.rows.length <= index) offset += chunk.extra;
      else for (let i = 0; i < index - start; i += 1) offset += (chunk.rows[i].height || this.rowHeight) - this.rowHeight;
    }
    return offset;
  }

  /** The row at this distance from the top, and how far its own top is. */
  #find(top) {
    const { chunkRows, count } = this.#source;
    const height = this.rowHeight;
    const plain = (from, offset) => {
      const index = Math.min(Math.max(0, count - 1), from + Math.max(0, Math.floor((top - offset) / height)));
      return { index, offset: offset + (index - from) * height };
    };
    let from = 0;
    let offset = 0;
    for (const [at, chunk] of this.#measured()) {
      const start = at * chunkRows;
      const begins = offset + (start - from) * height;
      if (top < begins) return plain(from, offset);
      const ends = begins + chunk.rows.length * height + chunk.extra;
      if (top < ends) return within(chunk.rows, start, begins, top, height);
      from = start + chunk.rows.length;
      offset = ends;
    }
    if (from >= count && count > 0) return { index: count - 1, offset: this.#offset(count - 1) };
    return plain(from, offset);
  }
}

function within(rows, start, begins, top, standard) {
  let offset = begins;
  for (let i = 0; i < rows.length; i += 1) {
    const next = offset + (rows[i].height || standard);
    if (top < next || i === rows.length - 1) return { index: start + i, offset };
    offset = next;
  }
  return { index: start, offset: begins };
}
