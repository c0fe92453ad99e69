// What an open tool row shows: its command or input, and what it printed, each with a copy button.

import { clean } from './clean.js';
import { h, icon } from './dom.js';
import * as format from './format.js';

const MOST_LINES = 400;

/** @param {import('./row.js').Row} row @param {boolean} ended whether its invocation is over */
export function toolDetail(row, ended) {
  const call = row.type === 'tool' ? row.line : row.tool;
  const result = row.type === 'tool' ? row.result : row.line;
  return [
    call ? inputBlocks(call) : null,
    result
      ? outputBlock(result)
      : h('p', { class: 'detail-note' }, ended ? 'It has no result: the invocation ended first.' : 'Still running; its output comes when it is done.'),
  ];
}

function inputBlocks(line) {
  const { input } = line;
  if (input === null || typeof input !== 'object' || Array.isArray(input)) {
    const text = input === undefined ? line.cmd : input;
    return [textBlock(input === undefined ? 'Command' : 'Input', typeof text === 'string' ? text : json(text))];
  }
  const { command, ...rest } = input;
  const blocks = [];
  if (command !== undefined) blocks.push(textBlock('Command', typeof command === 'string' ? command : json(command)));
  const short = [];
  for (const [key, value] of Object.entries(rest)) {
    const text = typeof value === 'string' ? value : json(value);
    if (text.length > 100 || text.includes('\n')) blocks.push(textBlock(clean(key), text));
    else short.push(h('div', {}, h('dt', {}, clean(key)), h('dd', {}, h('bdi', { class: 'mono' }, clean(text)))));
  }
  if (short.length) blocks.splice(command === undefined ? 0 : 1, 0, h('dl', { class: 'detail-facts' }, short));
  return blocks;
}

function outputBlock(result) {
  const { msg, ok, truncatedBytes } = result;
  const title = ok === false ? 'Output, failed' : 'Output';
  if (!msg) return h('p', { class: 'detail-note' }, 'It printed nothing.');
  const block = textBlock(title, msg, ok === false ? 'bad' : undefined);
  if (truncatedBytes) block.append(h('p', { class: 'detail-note' }, `${format.bytes(truncatedBytes)} more are in the spool.`));
  return block;
}

/** A text in a box, with a title and a copy button; of a long one the beginning and the end. */
export function textBlock(title, text, tone) {
  const lines = clean(text).replace(/\n$/, '').split('\n');
  const left = lines.length - MOST_LINES;
  const shown = left > 0
    ? [...lines.slice(0, MOST_LINES / 2), `… ${format.plural(left, 'line')} left out; copy has all of it …`, ...lines.slice(-MOST_LINES / 2)]
    : lines;
  const copy = h('button', { class: 'icon-button copy', type: 'button', tabindex: '-1', title: `Copy: ${title}`, 'aria-label': `Copy: ${title}`, data: { action: 'copy' } }, icon('copy'));
  copy.copyText = text;
  return h('section', { class: `detail-block ${tone ? `tone-${tone}` : ''}` },
    h('header', {}, h('h4', {}, title), copy),
    h('pre', { dir: 'auto', tabindex: '-1' }, shown.join('\n')));
}

export function json(value) {
  return JSON.stringify(value, null, 2);
}
