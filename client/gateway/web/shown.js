// What a line shows, as texts in which the filter's is sought. The daemon has the same rule for what
// is logged already (`daemon/src/browse/shown.rs`; `tests/shown.json` there holds both to it).

import { clean } from './clean.js';
import { outcomeText } from './format.js';

/** Tools whose calls are command lines; their rows begin with a `$`. */
const SHELL = /^(bash|shell|exec|command|local_shell|run_shell_command)/i;

export const isShell = (name) => SHELL.test(name ?? '');

/** @param {any} line as parseLine makes it @returns {string[]} */
export function shownTexts(line) {
  return textsOf(line).filter((text) => text !== undefined && text !== null).map(clean);
}

/** @returns {any[]} */
function textsOf(line) {
  const { type, msg, error } = line;
  switch (type) {
    case 'output':
    case 'tool_result':
    case 'thinking':
    case 'notice':
    case 'input':
      return [msg];
    case 'tool': {
      const command = line.cmd ?? line.name ?? '';
      return [isShell(line.name) ? `$ ${command}` : command, ...within(line.input, false)];
    }
    case 'plan':
      return ['Plan', ...(Array.isArray(line.items) ? line.items.map((item) => item?.text) : [])];
    case 'usage':
      return [];
    case 'retry':
      return [`${(line.reason ?? 'retry').replaceAll('_', ' ')} ${msg ?? ''}`];
    case 'start': {
      const who = joined([line.role, line.provider, line.model], ' · ');
      return [joined([line.mode === 'resume' ? 'Resumed' : 'Started', who, line.cwd], ' ')];
    }
    case 'session':
      return [joined(['Session', line.sessionId, line.providerVersion && `· version ${line.providerVersion}`], ' ')];
    case 'complete':
    case 'error':
      return [
        line.success === true ? 'Completed' : outcomeText(line.outcome ?? 'failed'),
        line.signal ?? (line.exitCode ? `exit ${line.exitCode}` : undefined),
        error,
      ];
    case 'gap':
      return [joined(['Gap', error ?? line.reason ?? line.message], ' ')];
    default:
      return unknownTexts(line);
  }
}

/** An event that the page knows no row for: it is shown as it stands there. */
function unknownTexts({ ts, type, raw, name, data, invocationId, ...rest }) {
  const value = data ?? rest;
  return [name ?? type, ...within(value, true), ...(typeof value === 'string' ? [] : [JSON.stringify(value)])];
}

/** The texts in a value of JSON, with the names of its members or without. @returns {string[]} */
function within(value, withKeys) {
  if (value === null || value === undefined) return [];
  if (typeof value !== 'object') return [String(value)];
  if (Array.isArray(value)) return value.flatMap((item) => within(item, withKeys));
  const members = Object.entries(value).filter(([, item]) => item !== undefined);
  return members.flatMap(([key, item]) => [...(withKeys ? [key] : []), ...within(item, withKeys)]);
}

function joined(parts, between) {
  return parts.filter(Boolean).join(between);
}
