// Sums as the usage view shows them.

import { money, number } from './format.js';

/** Agents that have a colour of their own. */
export const COLOURS = 4;
const DAY_NAMES = new Intl.DateTimeFormat(undefined, { weekday: 'short', month: 'short', day: 'numeric' });

/** When the first of the last so many days began here. */
export function midnight(range, now = new Date()) {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - range + 1).getTime();
}

/** A sum in the unit shown. */
export function measure(sum, unit) {
  if (unit === 'cost') return sum.totalCostUsd;
  return sum.inputTokens + sum.outputTokens + sum.cachedInputTokens + sum.cacheCreationTokens;
}

/** Whether anybody knows what it cost. */
export function isMoney(sum) {
  return sum.totalCostUsd > 0 || (sum.withoutCost ?? 0) + (sum.withoutUsage ?? 0) < sum.invocations;
}

/** `~$1.20`: partly estimated. */
export function costText(sum) {
  return `${sum.estimated ? '~' : ''}${money(sum.totalCostUsd)}`;
}

/** A sum in words, in the unit shown. */
export function amountText(sum, unit) {
  if (unit === 'cost') return isMoney(sum) ? costText(sum) : 'cost not known';
  return `${number(measure(sum, 'tokens'))} tokens`;
}

/**
 * Every day of the range with its parts, the dearest agents first; an agent is a provider and its model.
 *
 * @returns {{days: {name: string, label: string, parts: {agent: string | null, sum: object}[], total: object}[], agents: string[], more: boolean}}
 */
export function days(groups, range, now = new Date()) {
  const sizes = new Map();
  const byDay = new Map();
  for (const group of groups) {
    const size = sizes.get(agentOf(group)) ?? 0;
    sizes.set(agentOf(group), size + group.totalCostUsd + measure(group, 'tokens') / 1e9);
    byDay.set(group.day, [...(byDay.get(group.day) ?? []), group]);
  }
  const ranked = [...sizes].sort((a, b) => b[1] - a[1]).map(([agent]) => agent);
  const shown = ranked.slice(0, COLOURS);
  const all = [];
  for (let back = range - 1; back >= 0; back -= 1) {
    const date = new Date(now.getFullYear(), now.getMonth(), now.getDate() - back);
    const name = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
    const found = byDay.get(name) ?? [];
    const parts = shown.map((agent) => ({ agent, sum: together(found.filter((it) => agentOf(it) === agent)) }));
    const others = found.filter((it) => !shown.includes(agentOf(it)));
    if (others.length) parts.push({ agent: null, sum: together(others) });
    all.push({ name, label: DAY_NAMES.format(date), parts: parts.filter((part) => part.sum.invocations), total: together(found) });
  }
  return { days: all, agents: shown, more: ranked.length > shown.length };
}

function agentOf(group) {
  return [group.provider, group.model].filter(Boolean).join(' ');
}

const NUMBERS = ['invocations', 'running', 'withoutUsage', 'withoutCost', 'estimated', 'inputTokens', 'outputTokens', 'cachedInputTokens', 'cacheCreationTokens', 'totalCostUsd'];

function together(sums) {
  const sum = Object.fromEntries(NUMBERS.map((name) => [name, 0]));
  for (const one of sums) for (const name of NUMBERS) sum[name] += one[name] ?? 0;
  return sum;
}

function pad(value) {
  return String(value).padStart(2, '0');
}
