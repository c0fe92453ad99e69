// The time axis of a task: a canvas to zoom, move and point at. What is pointed at is told in words,
// to the eye beside the pointer and to the ear by a live region.

import { LANE, TOP, colours, endOf, lanesOf, paint } from './axis-paint.js';
import { Scale } from './axis-scale.js';
import { cleanLine } from './clean.js';
import { h, set } from './dom.js';
import * as format from './format.js';
import { onTheme } from './theme.js';

const NEAR_PIXELS = 6;
const TELL_MS = 120;
const DRAG_PIXELS = 4;
const SOON_MS = 400;
const NOUNS = { tool: 'tool call', retry: 'retry', failed: 'failure' };

export class Axis {
  #story;
  #scale;
  #selected;
  #view = null;
  #frame = 0;
  #soon = 0;
  #colours = colours();
  #lanes = { lanes: new Map(), count: 1 };
  /** What is pointed at. @type {{id: number, kind: string, at: number, ts: number, cursor: string} | null} */
  #mark = null;
  #telling = new AbortController();
  #tellTimer = 0;
  #drag = null;
  #hear;

  /**
   * @param {HTMLElement} root @param {import('./story.js').Story} story @param {number} selected
   * @param {{onPick: (id: number, cursor: string | null) => void}} hear cursor: in front of a line
   */
  constructor(root, story, selected, hear) {
    this.#story = story;
    this.#selected = selected;
    this.#hear = hear;
    const { from, to } = this.#span();
    this.#scale = new Scale(from, to);
    this.canvas = h('canvas', { class: 'axis-canvas', tabindex: '0', role: 'application', 'aria-roledescription': 'time axis', data: { test: 'axis' } });
    this.tip = h('div', { class: 'axis-tip', hidden: true, data: { test: 'axis-tip' } });
    this.told = h('div', { class: 'visually-hidden', 'aria-live': 'polite' });
    this.reset = h('button', { type: 'button', class: 'button small axis-reset', hidden: true, on: { click: () => this.#showWhole() } }, 'Whole story');
    this.band = h('div', { class: 'axis-band', hidden: true });
    set(root, h('div', { class: 'axis-frame' }, this.canvas, this.band, this.tip), this.told, this.reset);
    this.#listen();
    this.#resizes = new ResizeObserver(() => this.draw());
    this.#resizes.observe(root);
    this.#unTheme = onTheme(() => {
      this.#colours = colours();
      this.schedule();
    });
    this.#timer = setInterval(() => this.#isRunning() && this.schedule(), 1000);
    this.draw();
  }

  #resizes;
  #unTheme;
  #timer;

  close() {
    this.#resizes.disconnect();
    this.#unTheme();
    clearInterval(this.#timer);
    this.#telling.abort();
    clearTimeout(this.#tellTimer);
    clearTimeout(this.#soon);
    cancelAnimationFrame(this.#frame);
  }

  select(id) {
    this.#selected = id;
    this.#view = null;
    this.schedule();
  }

  /** Marks the time the activity shows. */
  view(from, to) {
    if (!Number.isFinite(from) || !Number.isFinite(to)) return;
    this.#view = { from, to };
    this.#placeView();
  }

  /** The band over the part of the time that the activity shows; an element, as it moves with every scroll. */
  #placeView() {
    const lane = this.#lanes.lanes.get(this.#selected);
    this.band.hidden = !this.#view || lane === undefined;
    if (this.band.hidden) return;
    const left = Math.max(0, this.#scale.x(this.#view.from));
    const right = Math.min(this.#scale.width, this.#scale.x(this.#view.to));
    const width = Math.max(3, right - left);
    this.band.hidden = right < 0 || left > this.#scale.width;
    this.band.style.transform = `translate(${left}px, ${TOP + lane * LANE}px)`;
    this.band.style.width = `${width}px`;
  }

  /** Draws in a while, for what changes often. */
  scheduleSoon() {
    this.#soon ||= setTimeout(() => this.schedule(), SOON_MS);
  }

  schedule() {
    clearTimeout(this.#soon);
    this.#soon = 0;
    this.#frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const { from, to, now } = this.#span();
    this.#scale.extend(from, to);
    this.#lanes = lanesOf(this.#story.invocations, now);
    const height = TOP + this.#lanes.count * LANE + 2;
    const width = this.canvas.parentElement.clientWidth;
    const ratio = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      this.canvas.style.height = `${height}px`;
    }
    this.#scale.width = width;
    const ctx = this.canvas.getContext('2d');
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint(ctx, {
      story: this.#story, scale: this.#scale, lanes: this.#lanes.lanes, height, now, selected: this.#selected,
      mark: this.#mark, colours: this.#colours,
    });
    this.#placeView();
    this.reset.hidden = this.#scale.isWhole;
    this.canvas.dataset.from = String(Math.round(this.#scale.from));
    this.canvas.dataset.to = String(Math.round(this.#scale.to));
    this.#label(from, to);
  }

  #label(from, to) {
    const { invocations } = this.#story;
    const label = `Story of the task: ${format.plural(invocations.length, 'invocation')} from ${format.moment(from)} to ${format.moment(to)}`;
    if (this.canvas.getAttribute('aria-label') !== label) this.canvas.setAttribute('aria-label', label);
  }

  #span() {
    const now = Date.now();
    const started = this.#story.invocations.filter((it) => it.startedAtMs !== undefined);
    if (started.length === 0) return { from: now - 60_000, to: now, now };
    const from = Math.min(...started.map((it) => it.startedAtMs));
    const to = Math.max(...started.map((it) => endOf(it, now)));
    const margin = Math.max(1000, (to - from) * 0.01);
    return { from: from - margin, to: to + margin, now };
  }

  #isRunning() {
    return this.#story.invocations.some((it) => it.status === 'running');
  }

  #showWhole() {
    this.#scale.show(this.#scale.whole.from, this.#scale.whole.to);
    this.draw();
    this.canvas.focus();
  }

  #listen() {
    const { canvas } = this;
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.#scale.pan(event.deltaX);
      else this.#scale.zoom(1.0015 ** Math.min(400, Math.max(-400, event.deltaY)), event.offsetX);
      this.schedule();
    }, { passive: false });
    canvas.addEventListener('pointerdown', (event) => {
      this.#drag = { x: event.offsetX, from: this.#scale.from, to: this.#scale.to, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointermove', (event) => (this.#drag ? this.#dragTo(event) : this.#point(event)));
    canvas.addEventListener('pointerup', (event) => {
      const drag = this.#drag;
      this.#drag = null;
      delete canvas.dataset.dragging;
      if (drag && !drag.moved) this.#pick(event);
    });
    canvas.addEventListener('pointercancel', () => (this.#drag = null));
    canvas.addEventListener('pointerleave', () => this.#tell(null));
    canvas.addEventListener('blur', () => this.#tell(null));
    canvas.addEventListener('dblclick', (event) => this.#zoomTo(this.#invocationAt(event.offsetX, event.offsetY)));
    canvas.addEventListener('keydown', (event) => this.#key(event));
  }

  #dragTo(event) {
    const by = event.offsetX - this.#drag.x;
    if (!this.#drag.moved && Math.abs(by) < DRAG_PIXELS) return;
    this.#drag.moved = true;
    this.canvas.dataset.dragging = 'true';
    this.#scale.show(this.#drag.from, this.#drag.to);
    this.#scale.pan(-by);
    this.schedule();
  }

  #zoomTo(invocation) {
    if (!invocation) return;
    const to = endOf(invocation, Date.now());
    const margin = (to - invocation.startedAtMs) * 0.03;
    this.#scale.show(invocation.startedAtMs - margin, to + margin);
    this.draw();
  }

  #pick(event) {
    const mark = this.#nearest(event.offsetX, event.offsetY);
    const invocation = this.#invocationAt(event.offsetX, event.offsetY);
    if (mark) this.#hear.onPick(mark.id, mark.cursor);
    else if (invocation) this.#hear.onPick(invocation.id, null);
  }

  #key(event) {
    const middle = this.#scale.width / 2;
    const keys = {
      ArrowLeft: () => this.#scale.pan(-this.#scale.width * 0.15),
      ArrowRight: () => this.#scale.pan(this.#scale.width * 0.15),
      '+': () => this.#scale.zoom(0.6, middle),
      '=': () => this.#scale.zoom(0.6, middle),
      '-': () => this.#scale.zoom(1 / 0.6, middle),
      0: () => this.#scale.show(this.#scale.whole.from, this.#scale.whole.to),
      '[': () => this.#step(-1),
      ']': () => this.#step(1),
      Enter: () => this.#mark && this.#hear.onPick(this.#mark.id, this.#mark.cursor),
    };
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
    this.schedule();
  }

  /** Goes to the mark before or after, of the selected invocation. */
  #step(by) {
    const all = this.#marksOf(this.#selected).sort((a, b) => a.ts - b.ts);
    if (all.length === 0) return;
    const from = this.#mark?.id === this.#selected ? this.#mark.ts : by > 0 ? this.#scale.from : this.#scale.to;
    const next = by > 0 ? all.find((it) => it.ts > from) : all.findLast((it) => it.ts < from);
    if (!next) return;
    const x = this.#scale.x(next.ts);
    if (x < 0 || x > this.#scale.width) this.#scale.pan(x - this.#scale.width / 2);
    this.#tell(next);
  }

  #marksOf(id) {
    const marks = this.#story.marks.get(id);
    if (!marks) return [];
    return ['failed', 'retry', 'tool'].flatMap((kind) =>
      marks[kind].places.map(([cursor, ts]) => ({ id, kind, cursor, ts, stride: marks[kind].stride })));
  }

  #invocationAt(x, y) {
    const lane = Math.floor((y - TOP) / LANE);
    const now = Date.now();
    return this.#story.invocations.findLast((it) => it.startedAtMs !== undefined && this.#lanes.lanes.get(it.id) === lane &&
      x >= this.#scale.x(it.startedAtMs) - 3 && x <= this.#scale.x(endOf(it, now)) + 3);
  }

  #nearest(x, y) {
    const invocation = this.#invocationAt(x, y);
    if (!invocation) return null;
    let best = null;
    let least = NEAR_PIXELS;
    for (const mark of this.#marksOf(invocation.id)) {
      const far = Math.abs(this.#scale.x(mark.ts) - x);
      if (far < least) [best, least] = [mark, far];
    }
    return best;
  }

  #point(event) {
    const mark = this.#nearest(event.offsetX, event.offsetY);
    const invocation = this.#invocationAt(event.offsetX, event.offsetY);
    this.canvas.dataset.over = mark || invocation ? 'true' : 'false';
    this.#tell(mark, invocation && !mark ? { invocation, x: event.offsetX } : null);
  }

  /** Says what a mark, or else an invocation, is. */
  #tell(mark, bare = null) {
    if (mark && this.#mark?.cursor === mark.cursor && this.#mark.kind === mark.kind) return;
    if (!mark && !this.#mark && !bare && this.tip.hidden) return;
    this.#mark = mark;
    this.#telling.abort();
    clearTimeout(this.#tellTimer);
    this.schedule();
    if (!mark) {
      this.tip.hidden = !bare;
      if (bare) this.#tip(bare.x, invocationText(bare.invocation), '');
      return;
    }
    const what = mark.stride > 1 ? `one of ${mark.stride} ${NOUNS[mark.kind]}s` : NOUNS[mark.kind];
    this.#tip(this.#scale.x(mark.ts), `${format.time(mark.ts)} · ${what}`, '…');
    this.#tellTimer = setTimeout(() => this.#readMark(mark, what), TELL_MS);
  }

  async #readMark(mark, what) {
    this.#telling = new AbortController();
    const told = await this.#story.tell(mark.id, mark.kind, mark.cursor, this.#telling.signal).catch(() => null);
    if (!told?.line || this.#mark !== mark) return;
    const text = cleanLine(String(told.line.cmd ?? told.line.msg ?? told.line.reason ?? '').slice(0, 200));
    const took = told.result?.duration ?? told.line.duration;
    const facts = [format.time(mark.ts), what, Number.isFinite(took) ? format.duration(took) : '', told.result?.ok === false ? 'failed' : ''];
    this.#tip(this.#scale.x(mark.ts), facts.filter(Boolean).join(' · '), text);
    this.told.textContent = `${facts.filter(Boolean).join(', ')}: ${text}`;
  }

  #tip(x, title, text) {
    this.tip.hidden = false;
    set(this.tip, h('div', { class: 'axis-tip-title' }, title), text ? h('bdi', { class: 'mono' }, text) : null);
    const width = this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, Math.min(x - width / 2, this.#scale.width - width))}px`;
  }
}

function invocationText(it) {
  const how = it.outcome ? format.outcomeText(it.outcome) : it.status;
  return `#${it.id} ${it.role} · ${cleanLine([it.provider, format.model(it)].filter(Boolean).join(' '))} · ${how} · ${format.duration(endOf(it, Date.now()) - it.startedAtMs)}`;
}
