// Time to pixels and back, and where ticks stand. Pure.

import * as format from './format.js';

const SECOND = 1000;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800]
  .map((seconds) => seconds * SECOND);
const FEWEST_PIXELS_BETWEEN_TICKS = 90;
const SHORTEST_MS = 2 * SECOND;

export class Scale {
  /** @param {number} from @param {number} to epoch ms, what there is to see at all */
  constructor(from, to) {
    this.whole = { from, to: Math.max(to, from + SHORTEST_MS) };
    this.from = this.whole.from;
    this.to = this.whole.to;
    this.width = 1;
  }

  get isWhole() {
    return this.from <= this.whole.from && this.to >= this.whole.to;
  }

  x(ts) {
    return ((ts - this.from) / (this.to - this.from)) * this.width;
  }

  ts(x) {
    return this.from + (x / this.width) * (this.to - this.from);
  }

  /** Time goes on: what is seen whole stays so. */
  extend(from, to) {
    const { isWhole } = this;
    this.whole = { from, to: Math.max(to, from + SHORTEST_MS) };
    if (isWhole) this.show(this.whole.from, this.whole.to);
  }

  /** Shows a span, within what there is. */
  show(from, to) {
    const most = this.whole.to - this.whole.from;
    const span = Math.min(most, Math.max(SHORTEST_MS, to - from));
    const middle = (from + to) / 2;
    const begin = Math.min(Math.max(this.whole.from, middle - span / 2), this.whole.to - span);
    this.from = begin;
    this.to = begin + span;
  }

  /** Zooms by a factor, around a pixel. */
  zoom(factor, x) {
    const at = this.ts(x);
    const span = (this.to - this.from) * factor;
    const part = x / this.width;
    this.show(at - span * part, at + span * (1 - part));
  }

  pan(pixels) {
    const by = (pixels / this.width) * (this.to - this.from);
    const span = this.to - this.from;
    const from = Math.min(Math.max(this.whole.from, this.from + by), this.whole.to - span);
    this.from = from;
    this.to = from + span;
  }

  /** @returns {{x: number, label: string, strong: boolean}[]} at round local times */
  ticks() {
    const most = Math.max(1, Math.floor(this.width / FEWEST_PIXELS_BETWEEN_TICKS));
    const span = this.to - this.from;
    const step = STEPS.find((it) => span / it <= most) ?? STEPS[STEPS.length - 1] * Math.ceil(span / STEPS[STEPS.length - 1] / most);
    const shift = new Date(this.from).getTimezoneOffset() * 60 * SECOND;
    const ticks = [];
    for (let at = Math.ceil((this.from - shift) / step) * step + shift; at <= this.to; at += step) {
      const midnight = (at - shift) % (86400 * SECOND) === 0;
      const label = midnight ? format.dayName(at) : step < 60 * SECOND ? format.time(at) : format.time(at).slice(0, 5);
      ticks.push({ x: this.x(at), label, strong: midnight });
    }
    return ticks;
  }
}
