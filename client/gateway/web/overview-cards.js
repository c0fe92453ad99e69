// The overview's items: an invocation that runs, whose numbers change in place, and one that ended. The link of an
// item covers all of it (`item-link`), and what may be done with it stands above that.

import { clean, cleanLine } from './clean.js';
import { canRetry, canSend, canStop } from './control.js';
import { h, icon, setText } from './dom.js';
import * as format from './format.js';
import { taskHref } from './router.js';
import { isUnresolved } from './overview-failed.js';
import { isTroubled, limitText, needsPerson, waitText } from './waits.js';

const ACTIVITY_ICONS = { tool: 'chevron', output: 'text', thinking: 'thought', plan: 'list', retry: 'retry', notice: 'info' };

/** A button of an item; who hears of it is the overview. */
function action(name, sign, label, of) {
  const whole = `${label}: invocation ${of.id} of ${clean(of.taskId)}`;
  return h('button', { type: 'button', class: `button small ${name === 'stop' ? 'danger' : ''}`, title: whole, 'aria-label': whole, data: { action: name } }, icon(sign), label);
}

function link(it, ...children) {
  return h('a', { class: 'item-link', href: taskHref(it.taskId, it.project, it.completedAtMs ? it.id : undefined), data: { route: '' } }, children);
}

const ofItem = (it) => ({ invocation: it.id, project: it.project });

export function runningCard(it) {
  const field = (name, label) => h('div', { class: `card-${name}` }, h('dt', {}, label), h('dd', { data: { field: name } }));
  return h('li', { class: 'card', data: ofItem(it) },
    h('div', { class: 'card-head' },
      h('span', { class: 'spinner', 'aria-hidden': 'true' }),
      h('span', { class: 'card-task' }, link(it, h('bdi', {}, clean(it.taskId)))),
      h('span', { class: 'card-needs', hidden: true }, icon('person'), 'Needs you'),
      h('span', { class: 'card-who dim' }),
      h('span', { class: 'item-actions' }, action('send', 'send', 'Send', it), action('stop', 'stop', 'Stop', it))),
    h('div', { class: 'card-activity', data: { field: 'activity' } },
      h('span', { class: 'card-activity-icon' }), h('bdi', { class: 'mono card-activity-text' }), h('span', { class: 'dim card-age' })),
    h('p', { class: 'card-wait dim', hidden: true, data: { field: 'wait' } }),
    h('p', { class: 'card-alarm tone-warn', hidden: true }, icon('warn'), h('span')),
    h('dl', { class: 'card-facts' }, field('elapsed', 'Elapsed'), field('tools', 'Tool calls'), field('tokens', 'Tokens'), field('cost', 'Cost')));
}

/** Writes what has changed, and nothing else. */
export function updateRunning(element, it, now = Date.now()) {
  const put = (selector, text) => setText(element.querySelector(selector), text);
  put('.card-who', [format.baseName(it.project), it.role, it.provider, format.model(it)].filter(Boolean).map(clean).join(' · '));
  const fact = (name, text) => {
    put(`[data-field=${name}]`, text || '–');
    // Where it is narrow, what is not known yet takes no room.
    element.querySelector(`.card-${name}`).toggleAttribute('data-unknown', !text);
  };
  fact('elapsed', it.status === 'queued' ? 'queued' : it.startedAtMs ? format.elapsed(now - it.startedAtMs) : '');
  fact('tools', it.live?.tools === undefined ? '' : format.short(it.live.tools));
  fact('tokens', format.tokenText(it.usage));
  fact('cost', format.cost(it.usage));
  const waits = it.status === 'queued';
  const needs = it.status === 'running' && needsPerson(it.live, now);
  element.dataset.status = it.status;
  element.toggleAttribute('data-needs', needs);
  element.toggleAttribute('data-troubled', !waits && isTroubled(it));
  element.querySelector('.card-needs').hidden = !needs;
  element.querySelector('[data-action=send]').hidden = !canSend(it);
  element.querySelector('[data-action=stop]').hidden = !canStop(it);
  put('.card-activity-text', waits ? cleanLine(format.localTimes(it.waiting, now)) || 'Waits to be started' : cleanLine(it.live?.lastText ?? '') || 'No activity yet');
  put('.card-age', it.live?.lastActivityAtMs ? format.age(now - it.live.lastActivityAtMs) : '');
  const line = (place, text, words = place) => {
    place.hidden = !text;
    setText(words, cleanLine(text));
  };
  const wait = waitText(it.live, now);
  line(element.querySelector('.card-wait'), wait && !wait.startsWith('quiet') ? `waits for ${wait}` : wait);
  const alarm = element.querySelector('.card-alarm');
  line(alarm, [it.alarm, limitText(it.live, now)].filter(Boolean).join(' · '), alarm.lastElementChild);
  const kind = waits ? 'clock' : ACTIVITY_ICONS[it.live?.lastType] ?? 'dot';
  const mark = element.querySelector('.card-activity-icon');
  if (mark.dataset.kind !== kind) {
    mark.dataset.kind = kind;
    mark.replaceChildren(icon(kind));
  }
}

export function endedCard(it) {
  const good = it.status === 'completed';
  const tone = good ? 'good' : it.status === 'timeout' ? 'warn' : 'bad';
  return h('li', { class: 'ended-item', data: { ...ofItem(it), unresolved: isUnresolved(it) ? '' : undefined } },
    h('span', { class: `ended-mark tone-${tone}` }, icon(good ? 'check' : it.status === 'timeout' ? 'clock' : 'cross')),
    h('span', { class: 'ended-what' },
      h('span', { class: 'ended-task' }, link(it, h('bdi', {}, clean(it.taskId)))),
      h('span', { class: good ? 'dim' : `ended-outcome tone-${tone}` }, clean(format.outcomeText(it.outcome ?? it.status))),
      it.retriedBy ? h('span', { class: 'dim' }, `tried again: #${it.retriedBy}`) : null,
      it.error ? h('bdi', { class: 'ended-error dim' }, cleanLine(it.error)) : null),
    h('span', { class: 'ended-who dim' }, [format.baseName(it.project), it.role, it.provider].filter(Boolean).map(clean).join(' · ')),
    h('span', { class: 'ended-numbers dim' }, [format.duration(it.durationMs), format.cost(it.usage)].filter(Boolean).join(' · ')),
    h('time', { class: 'ended-when dim', title: format.fullTime(it.completedAtMs), data: { since: it.completedAtMs } },
      it.completedAtMs ? format.age(Date.now() - it.completedAtMs) : ''),
    h('span', { class: 'item-actions' }, canRetry(it) ? action('retry', 'retry', 'Try again', it) : null));
}
