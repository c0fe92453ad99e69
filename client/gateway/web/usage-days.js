// A bar for each day, of as many parts as agents were used. Arrow keys go from day to day; what a bar
// is stands in words below, for the one that has the focus or the pointer.

import { clean } from './clean.js';
import { h, set, svg } from './dom.js';
import { plural, short } from './format.js';
import { amountText, measure } from './usage-model.js';

const HEIGHT = 180;
const WIDTH = 1000;
const GAP = 0.25;

/** @param {ReturnType<import('./usage-model.js').days>} shown @param {'cost' | 'tokens'} unit */
export function dayChart(shown, unit) {
  const most = Math.max(...shown.days.map((day) => measure(day.total, unit)));
  const step = WIDTH / shown.days.length;
  const said = h('p', { class: 'usage-said', data: { test: 'usage-said' } });
  const tell = (day) => set(said, h('strong', {}, day.label), ` ${amountText(day.total, unit)} · ${plural(day.total.invocations, 'run')}`, day.parts.map((part) => h('span', { class: 'dim' }, ` · ${agentName(part.agent)} ${amountText(part.sum, unit)}`)));
  const last = shown.days.length - 1;
  const bars = shown.days.map((day, index) => bar(day, index, { shown, unit, most, step, isFirst: index === last, tell }));
  tell(shown.days[last]);
  return [
    h('div', { class: 'usage-plot' },
      h('span', { class: 'usage-most dim' }, most > 0 ? mostText(most, unit) : ''),
      svg('svg', { class: 'usage-svg', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'list', 'aria-label': `${unit === 'cost' ? 'Cost' : 'Tokens'} by day`, on: { keydown: (event) => walk(event, bars) } },
        svg('line', { class: 'usage-base', x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }), bars)),
    h('div', { class: 'usage-ends dim' }, h('span', {}, shown.days[0].label), h('span', {}, shown.days[last].label)),
    said,
    legend(shown),
  ];
}

function bar(day, index, { shown, unit, most, step, isFirst, tell }) {
  const x = index * step + (step * GAP) / 2;
  const width = step * (1 - GAP);
  let y = HEIGHT;
  const parts = day.parts.map((part) => {
    const height = most > 0 ? (measure(part.sum, unit) / most) * (HEIGHT - 4) : 0;
    y -= height;
    return svg('rect', { class: colour(part.agent, shown), x, y, width, height });
  });
  return svg('g', { class: 'usage-day', role: 'listitem', tabindex: isFirst ? 0 : -1, 'aria-label': `${day.label}: ${amountText(day.total, unit)}, ${plural(day.total.invocations, 'run')}`, data: { day: day.name }, on: { focus: () => tell(day), pointerenter: () => tell(day) } },
    svg('rect', { class: 'usage-hit', x: index * step, y: 0, width: step, height: HEIGHT }), parts);
}

/** One bar is in the order of tabs; the arrows change which. */
function walk(event, bars) {
  const at = bars.indexOf(document.activeElement);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: bars.length - 1 }[event.key];
  if (at < 0 || to === undefined || !bars[to]) return;
  event.preventDefault();
  bars[at].setAttribute('tabindex', '-1');
  bars[to].setAttribute('tabindex', '0');
  bars[to].focus();
}

function legend(shown) {
  const entry = (agent) => h('li', {}, svg('svg', { class: 'usage-swatch', viewBox: '0 0 10 10', 'aria-hidden': 'true' }, svg('rect', { class: colour(agent, shown), width: 10, height: 10, rx: 2 })), h('bdi', {}, agentName(agent)));
  return h('ul', { class: 'usage-legend' }, shown.agents.map(entry), shown.more ? entry(null) : null);
}

function colour(agent, shown) {
  const index = shown.agents.indexOf(agent);
  return index < 0 ? 'usage-rest' : `usage-part-${index}`;
}

function agentName(agent) {
  return agent === null ? 'others' : clean(agent);
}

function mostText(most, unit) {
  return unit === 'cost' ? `$${most.toFixed(most < 0.1 ? 4 : 2)}` : short(most);
}
