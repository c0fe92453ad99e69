// The usage view: what was used in the last days, by day, and by task or by what else. Everything
// shown is asked for anew when the address changes, and now and then while agents run.

import { get, query } from './api.js';
import { clean } from './clean.js';
import { h, set } from './dom.js';
import * as format from './format.js';
import { onOverview } from './overview-feed.js';
import { usageHref } from './router.js';
import { dayChart } from './usage-days.js';
import { shareList } from './usage-shares.js';
import { costText, days, isMoney, measure, midnight } from './usage-model.js';

/** Between two times of asking while something runs. */
const AGAIN = 5000;
const RANGES = [7, 30, 90, 365];
const KEYS = ['task', 'model', 'provider', 'project', 'role'];

export class UsageView {
  #address;
  #closed = new AbortController();
  #stop;
  #timer = null;

  /** @param {HTMLElement} view @param {import('./router.js').Address} address */
  constructor(view, address) {
    document.title = 'Usage · steroids';
    this.#address = address;
    set(document.getElementById('crumbs'), h('span', {}, 'Usage'), address.project ? h('bdi', { class: 'dim', title: address.project }, clean(format.baseName(address.project))) : null);
    this.sums = h('div', { class: 'usage-sums', data: { test: 'usage-sums' } });
    this.chart = h('div', { class: 'usage-chart', data: { test: 'usage-days' } });
    this.shares = h('div', { class: 'usage-shares', data: { test: 'usage-shares' } });
    this.note = h('p', { class: 'dim', data: { test: 'usage-note' } });
    set(view, h('div', { class: 'usage', data: { test: 'usage' } },
      h('div', { class: 'usage-head' }, h('h1', {}, 'Usage'), this.#choices()),
      this.sums,
      h('section', { 'aria-label': 'By day' }, h('h2', {}, 'By day'), this.chart),
      h('section', { 'aria-label': 'Shares' }, this.#keys(), this.shares),
      this.note));
    this.#load();
    this.#stop = onOverview((event) => event.type === 'invocation' && this.#later());
  }

  close() {
    this.#stop();
    clearTimeout(this.#timer);
    this.#closed.abort();
  }

  #later() {
    this.#timer ??= setTimeout(() => { this.#timer = null; this.#load(); }, AGAIN);
  }

  #href(change) {
    const { project, days: range, by, unit } = this.#address;
    return usageHref({ project, days: range, by, unit, ...change });
  }

  #choices() {
    const { days: range, unit } = this.#address;
    return h('nav', { class: 'usage-choices', 'aria-label': 'What is shown' },
      choices('Days', RANGES.map((it) => ({ text: `${it} days`, href: this.#href({ days: it }), chosen: it === range }))),
      choices('Unit', ['cost', 'tokens'].map((it) => ({ text: it === 'cost' ? 'Money' : 'Tokens', href: this.#href({ unit: it }), chosen: it === unit }))),
      this.#address.project ? h('a', { class: 'chip', href: this.#href({ project: null }), data: { route: '' } }, 'All projects') : null);
  }

  #keys() {
    return choices('By', KEYS.map((it) => ({ text: `By ${it}`, href: this.#href({ by: it }), chosen: it === this.#address.by })));
  }

  async #load() {
    const { project, days: range, by } = this.#address;
    const signal = this.#closed.signal;
    const since = midnight(range);
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const ask = (keys, limit) => get(`/api/usage${query({ by: keys, since, project, zone, limit })}`, { signal });
    try {
      const [byDay, byKey] = await Promise.all([ask('day,provider,model', 5000), ask(by, 20)]);
      this.#draw(byDay, byKey);
    } catch (error) {
      if (error.name === 'AbortError') return;
      set(this.sums, h('p', { class: 'tone-warn' }, error.message), error.hint ? h('p', { class: 'dim' }, error.hint) : null);
    }
  }

  #draw(byDay, byKey) {
    const { days: range, by, unit } = this.#address;
    const { total } = byDay;
    if (!total.invocations) {
      set(this.sums, h('p', { class: 'empty' }, `Nothing has run in the last ${range} days.`));
      set(this.chart);
      set(this.shares);
      set(this.note);
      return;
    }
    set(this.sums, sums(total));
    set(this.chart, dayChart(days(byDay.usage, range), unit));
    set(this.shares, shareList(byKey, by, unit));
    set(this.note, notes(byDay));
  }
}

/** A row of links of which one is chosen. */
function choices(label, items) {
  return h('div', { class: 'usage-choice', role: 'group', 'aria-label': label }, items.map((it) => h('a', { class: 'chip', href: it.href, data: { route: '' }, 'aria-current': it.chosen ? 'true' : null }, it.text)));
}

function sums(total) {
  const fact = (name, value, title) => h('div', {}, h('dt', {}, name), h('dd', { title }, value));
  return h('dl', { class: 'usage-facts' },
    fact('Cost', isMoney(total) ? costText(total) : 'not known', total.estimated ? 'Partly estimated, by configured prices' : null),
    fact('Tokens', format.short(measure(total, 'tokens')), format.number(measure(total, 'tokens'))),
    fact('Output', format.short(total.outputTokens), format.number(total.outputTokens)),
    fact('Runs', total.running ? `${format.number(total.invocations)} · ${format.number(total.running)} running` : format.number(total.invocations)));
}

function notes(answer) {
  const { total, unread } = answer;
  return [
    total.estimated ? `~ is partly estimated: ${format.plural(total.estimated, 'run')} by configured prices.` : '',
    total.withoutUsage ? `${format.plural(total.withoutUsage, 'run')} told no tokens.` : '',
    total.withoutCost ? `${format.plural(total.withoutCost, 'run')} told no cost, and no price is configured.` : '',
    unread?.length ? `Not counted, their databases did not answer: ${clean(unread.join(', '))}.` : '',
  ].filter(Boolean).join(' ');
}
