// Who used how much, the most first: a list whose bars only repeat what its numbers say.

import { clean } from './clean.js';
import { h, svg } from './dom.js';
import { baseName, plural } from './format.js';
import { taskHref } from './router.js';
import { amountText, measure } from './usage-model.js';

const NAMES = { task: 'taskId', model: 'model', provider: 'provider', project: 'project', role: 'role' };

/** @param {{usage: object[], rest?: object}} answer @param {string} by @param {'cost' | 'tokens'} unit */
export function shareList(answer, by, unit) {
  const groups = [...answer.usage].sort((a, b) => measure(b, unit) - measure(a, unit));
  const most = Math.max(...groups.map((group) => measure(group, unit)), 0);
  return h('ul', { class: 'usage-list' },
    groups.map((group) => h('li', { data: { name: group[NAMES[by]] } }, name(group, by), bar(group, most, unit), numbers(group, unit))),
    answer.rest ? h('li', { class: 'dim' }, h('span', {}, `${plural(answer.rest.groups, 'other')}`), bar(answer.rest, most, unit), numbers(answer.rest, unit)) : null);
}

function name(group, by) {
  if (by === 'task') {
    return h('a', { class: 'usage-name', href: taskHref(group.taskId, group.project), data: { route: '' }, title: clean(group.project) }, h('bdi', {}, clean(group.taskId)), h('bdi', { class: 'dim' }, ` ${clean(baseName(group.project))}`));
  }
  const text = clean(group[NAMES[by]]);
  return h('bdi', { class: 'usage-name', title: text }, (by === 'project' ? baseName(text) : text) || '(default)');
}

function bar(sum, most, unit) {
  const width = most > 0 ? Math.min(1, measure(sum, unit) / most) * 100 : 0;
  return svg('svg', { class: 'usage-bar', viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('rect', { class: 'usage-bar-back', width: 100, height: 8 }), svg('rect', { class: 'usage-part-0', width, height: 8 }));
}

function numbers(sum, unit) {
  const running = sum.running ? ` · ${sum.running} running` : '';
  return h('span', { class: 'usage-numbers' }, amountText(sum, unit), h('span', { class: 'dim' }, ` · ${plural(sum.invocations, 'run')}${running}`));
}
