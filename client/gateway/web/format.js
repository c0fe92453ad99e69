// Numbers, times and names as people read them. Times are the reader's own.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const shortClock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });
const count = new Intl.NumberFormat();

/** Of an invocation: the model that answers, else the one that was asked for. */
export function model(it) {
  return it.answeringModel ?? it.model;
}

/** `21ms`, `0.2s`, `48s`, `2m 05s`, `3h 12m`, `2d 4h`. */
export function duration(ms) {
  if (!Number.isFinite(ms)) return '';
  const left = Math.max(0, ms);
  if (left < 1000) return left < 100 ? `${Math.round(left)}ms` : `${(left / 1000).toFixed(1)}s`;
  if (left < 10_000) return `${(left / 1000).toFixed(1)}s`;
  if (left < MINUTE) return `${Math.floor(left / 1000)}s`;
  if (left < HOUR) return `${Math.floor(left / MINUTE)}m ${pad(Math.floor((left % MINUTE) / 1000))}s`;
  if (left < DAY) return `${Math.floor(left / HOUR)}h ${pad(Math.floor((left % HOUR) / MINUTE))}m`;
  return `${Math.floor(left / DAY)}d ${Math.floor((left % DAY) / HOUR)}h`;
}

/** As {@link duration}, in whole seconds, for what ticks. */
export function elapsed(ms) {
  const left = Math.max(0, ms);
  return left < MINUTE ? `${Math.floor(left / 1000)}s` : duration(left);
}

/** `now`, `12s ago`, `4m ago`, `3h ago`, `2d ago`. */
export function age(ms) {
  if (ms < 2000) return 'now';
  if (ms < MINUTE) return `${Math.floor(ms / 1000)}s ago`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)}m ago`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)}h ago`;
  return `${Math.floor(ms / DAY)}d ago`;
}

/** Whether a number is a time that can be told. */
export function isTime(ts) {
  return Number.isFinite(ts) && Math.abs(ts) <= 8.64e15;
}

/** `14:02:33`. */
export function time(ts) {
  return isTime(ts) ? clock.format(ts) : '';
}

/** `14:02`, or `3 Mar 14:02` when it was another day. */
export function moment(ts, now = Date.now()) {
  if (!isTime(ts)) return '';
  const same = new Date(ts).toDateString() === new Date(now).toDateString();
  return same ? shortClock.format(ts) : `${day.format(ts)} ${shortClock.format(ts)}`;
}

/** A text in which the daemon gives times as it does (`2026-11-30T08:10:31Z`), with the reader's own. */
export function localTimes(text, now = Date.now()) {
  return String(text ?? '').replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (time) => moment(Date.parse(time), now) || time);
}

export function dayName(ts) {
  return isTime(ts) ? day.format(ts) : '';
}

/** Date and time in full. */
export function fullTime(ts) {
  return isTime(ts) ? whole.format(ts) : '';
}

export function number(value) {
  return count.format(value);
}

/** `940`, `12.4k`, `3.1M`. */
export function short(value) {
  if (value < 1000) return String(value);
  if (value < 999_500) return `${trim(value / 1000)}k`;
  return `${trim(value / 1e6)}M`;
}

/** @returns {{input: number, output: number} | null} All input counts, also that of caches. */
export function tokens(usage) {
  if (!usage) return null;
  const input = (usage.inputTokens ?? 0) + (usage.cachedInputTokens ?? 0) + (usage.cacheCreationTokens ?? 0);
  return { input, output: usage.outputTokens ?? 0 };
}

/** `812k in · 9.2k out`. */
export function tokenText(usage) {
  const sum = tokens(usage);
  return sum ? `${short(sum.input)} in · ${short(sum.output)} out` : '';
}

/** `$0.53`, and `$0.0042` where cents would show nothing; as a terminal has it. */
export function money(usd) {
  return `$${usd.toFixed(usd !== 0 && Math.abs(usd) < 0.01 ? 4 : 2)}`;
}

/** `~$0.53` where it is estimated. */
export function cost(usage) {
  const usd = usage?.totalCostUsd;
  // What was used after a cost was stated is not in it.
  const more = usage?.uncostedTokens > 0 ? '+' : '';
  return Number.isFinite(usd) ? `${usage.estimated ? '~' : ''}${money(usd)}${more}` : '';
}

export function bytes(value) {
  return value < 1024 ? `${value} B` : value < 1 << 20 ? `${trim(value / 1024)} KiB` : `${trim(value / (1 << 20))} MiB`;
}

/** `1 line`, `2 lines`. */
export function plural(value, word) {
  return `${number(value)} ${word}${value === 1 ? '' : 's'}`;
}

/** The last part of a path. */
export function baseName(path) {
  return String(path).replace(/\/+$/, '').split('/').pop() || String(path);
}

/** A word for a person: `timeout_silence` is `timeout: silence`. */
export function outcomeText(outcome) {
  return String(outcome ?? '').replace(/^timeout_/, 'timeout: ').replaceAll('_', ' ');
}

/** An argument as a shell takes it. */
export function shellWord(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${String(text).replaceAll("'", "'\\''")}'`;
}

function pad(value) {
  return String(value).padStart(2, '0');
}

function trim(value) {
  return value < 100 ? value.toFixed(1).replace(/\.0$/, '') : Math.round(value).toString();
}
