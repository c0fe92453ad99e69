// Draws one row of the activity panel, folded or open. What an agent printed goes through clean()
// and then into text nodes, isolated from the direction of what stands around it.

import { clean, cleanLine } from './clean.js';
import { h, icon } from './dom.js';
import * as format from './format.js';
import { prose } from './prose.js';
import { toolDetail, json, textBlock } from './row-detail.js';
import { isShell } from './shown.js';

/** Lines and characters of a text that are shown before somebody asks for more. */
const FOLDED_LINES = 14;
const FOLDED_CHARACTERS = 1600;

/**
 * @typedef {{open: boolean, current: boolean, linked: boolean, ended: boolean, plain: boolean, estimate: string, now: number, count: number}} Look `plain`: its output is a program's, line by line, and no prose; `estimate`: what it cost, where no line says
 */

/** @param {import('./row.js').Row} row @param {number} index @param {Look} look */
export function drawRow(row, index, look) {
  const kind = Object.hasOwn(KINDS, row.type) ? KINDS[row.type] : unknownRow;
  try {
    return drawAs(kind, row, index, look);
  } catch (error) {
    // The others are drawn all the same.
    reportError(error);
    return drawAs(oddRow, row, index, look);
  }
}

function drawAs(kind, row, index, look) {
  const { mark, label, body, meta, detail, tone, foldable } = kind(row, look);
  const state = row.state(look.ended);
  const main = foldable
    ? h('button', { class: 'row-main row-toggle', type: 'button', tabindex: '-1', 'aria-expanded': String(look.open), data: { action: 'toggle' } },
        h('span', { class: 'row-chevron' }, icon('chevron')), body)
    : h('div', { class: 'row-main' }, body);
  return h('article', {
    class: `row row-${row.type} ${tone ? `tone-${tone}` : ''} ${row.line.parentCallId ? 'row-nested' : ''}`,
    id: `row-${index}`,
    tabindex: look.current ? '0' : '-1',
    'aria-posinset': index + 1,
    'aria-setsize': look.count,
    'aria-current': look.linked ? 'true' : null,
    data: { index, type: row.type, cursor: row.cursor, state, open: look.open ? 'true' : undefined },
  },
  h('div', { class: 'row-line' },
    h('time', { class: 'row-time', title: format.fullTime(row.ts), datetime: isoTime(row.ts) }, format.time(row.ts)),
    h('span', { class: 'row-mark', title: label }, mark, h('span', { class: 'visually-hidden' }, `${label}: `)),
    main,
    h('span', { class: 'row-meta' }, meta ?? null),
    h('button', { class: 'row-link icon-button', type: 'button', tabindex: '-1', title: 'Copy link to this event', 'aria-label': 'Copy link to this event', data: { action: 'link' } }, icon('link'))),
  detail && look.open ? h('div', { class: 'row-detail' }, detail()) : null);
}

/** What stands for a row that is on its way. */
export function drawPlaceholder(index) {
  return h('div', { class: 'row row-placeholder', id: `row-${index}`, 'aria-hidden': 'true', data: { index } },
    h('div', { class: 'row-line' }, h('span', { class: 'row-time' }), h('span', { class: 'row-mark' }),
      h('span', { class: `skeleton skeleton-${index % 5}` })));
}

const KINDS = {
  tool: toolRow,
  tool_result: resultRow,
  output: outputRow,
  thinking: thinkingRow,
  plan: planRow,
  usage: usageRow,
  retry: retryRow,
  notice: noticeRow,
  input: inputRow,
  start: startRow,
  session: sessionRow,
  complete: endRow,
  error: endRow,
  gap: gapRow,
};

function toolRow(row, look) {
  const state = row.state(look.ended);
  const label = { ok: 'Tool, ok', failed: 'Tool, failed', running: 'Tool, running', unknown: 'Tool, no result' }[state];
  return {
    mark: stateMark(state),
    label,
    body: command(row.line),
    meta: toolMeta(row, state, look),
    detail: () => toolDetail(row, look.ended),
    foldable: true,
  };
}

function toolMeta(row, state, look) {
  if (state === 'running') {
    return h('span', { class: 'ticking', data: { since: row.ts } }, format.elapsed(look.now - row.ts));
  }
  if (state === 'unknown') return 'no result';
  return resultMeta(row.result);
}

function resultMeta(result) {
  const { exitCode, duration } = result;
  return [
    exitCode ? h('span', { class: 'exit-code' }, `exit ${exitCode}`) : null,
    Number.isFinite(duration) ? format.duration(duration) : null,
  ];
}

function resultRow(row, look) {
  const state = row.state(look.ended);
  const first = cleanLine(String(row.line.msg ?? '').slice(0, 400));
  return {
    mark: stateMark(state),
    label: state === 'failed' ? 'Failed' : 'Result',
    body: [row.tool ? command(row.tool) : null, h('bdi', { class: row.tool ? 'mono dim' : 'mono' }, first || 'no output')],
    meta: resultMeta(row.line),
    detail: () => toolDetail(row, look.ended),
    foldable: true,
  };
}

function command(line) {
  const shell = isShell(line.name);
  const text = cleanLine(String(line.cmd ?? line.name ?? '?').slice(0, 600));
  const split = /^([A-Z]\w+|web search|web fetch):? (.*)$/.exec(text);
  if (!shell && split) {
    return h('span', { class: 'command' }, h('span', { class: 'verb' }, split[1]), ' ', h('bdi', { class: 'mono', dir: 'auto' }, split[2]));
  }
  return h('span', { class: 'command' },
    shell ? h('span', { class: 'prompt', 'aria-hidden': 'true' }, '$ ') : null,
    h('bdi', { class: 'mono', dir: 'ltr' }, text));
}

function outputRow(row, look) {
  const stderr = row.line.stream === 'stderr';
  const asTerminal = stderr || look.plain;
  return {
    mark: icon(stderr ? 'warn' : 'text'),
    label: stderr ? 'stderr' : 'Text',
    tone: stderr ? 'warn' : asTerminal ? 'terminal' : undefined,
    body: folded(row, look, (text) => asTerminal ? h('pre', { class: 'plain', dir: 'auto' }, text) : prose(text)),
  };
}

function inputRow(row, look) {
  return { mark: icon('person'), label: 'Sent to the agent', tone: 'accent', body: folded(row, look, prose) };
}

/** A text of which the beginning is shown, with a button for the rest. */
function folded(row, look, draw) {
  const text = clean(row.line.msg);
  const lines = text.replace(/\n+$/, '').split('\n');
  const long = lines.length > FOLDED_LINES + 6 || text.length > FOLDED_CHARACTERS + 200 || row.cut;
  if (!long && !look.open) return draw(text);
  const shown = look.open ? text : lines.slice(0, FOLDED_LINES).join('\n').slice(0, FOLDED_CHARACTERS);
  const rest = lines.length > FOLDED_LINES ? format.plural(lines.length - FOLDED_LINES, 'more line') : 'all of it';
  return h('div', {}, draw(shown), long || look.open
    ? h('button', { class: 'more', type: 'button', tabindex: '-1', 'aria-expanded': String(look.open), data: { action: 'toggle' } },
        look.open ? 'Show less' : `Show ${rest}`)
    : null);
}

function thinkingRow(row, look) {
  const text = clean(row.line.msg);
  return {
    mark: icon('thought'),
    label: 'Thinking',
    body: h('bdi', { class: 'thought' }, look.open ? 'Thinking' : cleanLine(text.slice(0, 300))),
    detail: () => h('div', { class: 'thought-text' }, prose(text)),
    foldable: true,
  };
}

function planRow(row) {
  const items = Array.isArray(row.line.items) ? row.line.items : [];
  const done = items.filter((item) => item?.status === 'completed').length;
  return {
    mark: icon('list'),
    label: 'Plan',
    body: h('div', {},
      h('span', { class: 'row-title' }, 'Plan', h('span', { class: 'dim' }, ` ${done} of ${items.length} done`)),
      h('ul', { class: 'plan' }, items.slice(0, 60).map(planItem))),
  };
}

function planItem(item) {
  const status = ['completed', 'in_progress'].includes(item?.status) ? item.status : 'pending';
  const said = { completed: 'done', in_progress: 'in progress', pending: 'to do' }[status];
  return h('li', { class: `plan-item plan-${status}` },
    h('span', { class: 'plan-box', 'aria-hidden': 'true' }, status === 'completed' ? icon('check') : null),
    h('span', { class: 'visually-hidden' }, `${said}: `),
    h('bdi', {}, cleanLine(item?.text)));
}

function usageRow(row) {
  return {
    mark: icon('info'),
    label: 'Usage',
    body: h('span', { class: 'dim' }, join([format.tokenText(row.line), format.cost(row.line), row.line.total ? 'in all' : ''])),
  };
}

function retryRow(row) {
  const { attempt, delay, reason, msg } = row.line;
  return {
    mark: icon('retry'),
    label: 'Retry',
    tone: 'warn',
    body: h('span', {}, h('span', { class: 'row-title' }, clean(reason ?? 'retry').replaceAll('_', ' ')), ' ', h('bdi', {}, cleanLine(msg))),
    meta: join([attempt ? `attempt ${attempt}` : '', Number.isFinite(delay) ? `waits ${format.duration(delay)}` : '']),
  };
}

function noticeRow(row, look) {
  const tone = { error: 'bad', warn: 'warn', warning: 'warn' }[row.line.level];
  return {
    mark: icon(tone ? 'warn' : 'info'),
    label: tone === 'bad' ? 'Error notice' : tone ? 'Warning' : 'Notice',
    tone: tone ?? 'quiet',
    body: folded(row, look, (text) => h('pre', { class: 'plain', dir: 'auto' }, text)),
  };
}

function startRow(row) {
  const { role, provider, model, mode, cwd } = row.line;
  return {
    mark: icon('play'),
    label: 'Started',
    tone: 'frame',
    body: h('span', {}, h('span', { class: 'row-title' }, mode === 'resume' ? 'Resumed' : 'Started'), ' ',
      h('bdi', {}, cleanLine(join([role, provider, model]))), ' ', h('bdi', { class: 'mono dim' }, cleanLine(cwd))),
  };
}

function sessionRow(row) {
  const { sessionId, providerVersion } = row.line;
  return {
    mark: icon('dot'),
    label: 'Session',
    tone: 'quiet',
    body: h('span', {}, 'Session ', h('bdi', { class: 'mono' }, cleanLine(sessionId)), providerVersion ? ` · version ${cleanLine(providerVersion)}` : ''),
  };
}

function endRow(row, look) {
  const { success, outcome, duration, exitCode, signal, usage, leftovers, error } = row.line;
  const facts = join([
    Number.isFinite(duration) ? `after ${format.duration(duration)}` : '',
    signal ? cleanLine(signal) : exitCode ? `exit ${exitCode}` : '',
    format.tokenText(usage),
    look.estimate || format.cost(usage),
    leftovers ? `${format.plural(leftovers, 'process')} left over, ended` : '',
  ]);
  const word = success ? 'Completed' : clean(format.outcomeText(outcome)) || 'failed';
  return {
    mark: icon(success ? 'check' : 'cross'),
    label: success ? 'Completed' : 'Ended',
    tone: success ? 'good' : 'bad',
    body: h('div', {}, h('span', { class: 'row-title' }, word[0].toUpperCase() + word.slice(1)), ' ', h('span', { class: 'dim' }, facts),
      error ? h('pre', { class: 'plain', dir: 'auto' }, clean(error)) : null),
  };
}

function gapRow(row) {
  const { error, reason, message } = row.line;
  return {
    mark: icon('warn'),
    label: 'Gap',
    tone: 'warn',
    body: h('span', {}, h('span', { class: 'row-title' }, 'Gap'), ' ', h('bdi', {}, cleanLine(error ?? reason ?? message ?? 'the log was written anew'))),
  };
}

function unknownRow(row) {
  const { ts, type, raw, name, data, invocationId, ...rest } = row.line;
  const text = JSON.stringify(data ?? rest);
  return {
    mark: icon('question'),
    label: 'Unknown event',
    tone: 'quiet',
    body: h('span', {}, h('span', { class: 'row-title' }, clean(name ?? type) || 'no event'), ' ', h('bdi', { class: 'mono dim' }, cleanLine(text.slice(0, 300)))),
    detail: () => textBlock('Event', json(data ?? rest)),
    foldable: true,
  };
}

function oddRow() {
  return { mark: icon('question'), label: 'Unknown event', tone: 'quiet', body: h('span', { class: 'dim' }, 'This line cannot be shown.') };
}

function stateMark(state) {
  if (state === 'running') return h('span', { class: 'spinner' });
  return icon({ ok: 'check', failed: 'cross', unknown: 'question' }[state]);
}

function join(parts) {
  return parts.filter(Boolean).join(' · ');
}

function isoTime(ts) {
  return format.isTime(ts) ? new Date(ts).toISOString() : null;
}
