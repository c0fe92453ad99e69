// Which types of lines are shown, and in which groups a person switches them on and off.

import { shownTexts } from './shown.js';

/** @typedef {{id: string, label: string, types: string[], on: boolean}} Group */

/** Shown whatever is chosen: how it began and ended, and what may be missing. */
const FRAME = ['start', 'session', 'complete', 'error', 'gap'];

/** @type {Group[]} */
export const GROUPS = [
  { id: 'tools', label: 'Tools', types: ['tool'], on: true },
  { id: 'text', label: 'Text', types: ['output', 'input'], on: true },
  { id: 'thinking', label: 'Thinking', types: ['thinking'], on: true },
  { id: 'plan', label: 'Plan', types: ['plan'], on: true },
  { id: 'notices', label: 'Retries & notices', types: ['retry', 'notice', 'unknown'], on: true },
  { id: 'usage', label: 'Usage', types: ['usage'], on: false },
];

export const DEFAULT_GROUPS = GROUPS.filter((group) => group.on).map((group) => group.id);

/**
 * What a person asked to see.
 * @typedef {{text: string, groups: string[], failed: boolean}} Choice
 */

/** @type {() => Choice} */
export const everything = () => ({ text: '', groups: [...DEFAULT_GROUPS], failed: false });

/**
 * The filter as the gateway takes it. What a tool printed is found too: where a text is sought,
 * results are lines of their own.
 * @param {Choice} choice
 * @returns {{types: string, q?: string, ok?: string}}
 */
export function filterOf(choice) {
  const q = choice.text || undefined;
  if (choice.failed) return { types: 'tool_result', ok: 'false', q };
  const chosen = GROUPS.filter((group) => choice.groups.includes(group.id)).flatMap((group) => group.types);
  if (q && chosen.includes('tool')) chosen.push('tool_result');
  return { types: [...FRAME, ...chosen].join(','), q };
}

/**
 * The same rule for lines that arrive live.
 * @returns {(line: any) => boolean}
 */
export function matcherOf({ types, q, ok }) {
  const wanted = new Set(types.split(','));
  const text = (q ?? '').toLowerCase();
  return (line) =>
    wanted.has(line.type) &&
    (ok === undefined || String(line.ok) === ok) &&
    (!text || shownTexts(line).some((shown) => shown.toLowerCase().includes(text)));
}
