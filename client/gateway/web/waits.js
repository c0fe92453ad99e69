// What a running invocation waits for and which limit it is near, in words.

import { elapsed, time } from './format.js';

// One of which nobody knows what it waits for is called quiet only after so long.
const QUIET = 60_000;

// Until then the rest of a line may be on its way.
const LINE = 5_000;

/** What it has printed of a line stands there. */
const stands = (live, now) => live.waitsFor !== 'unfinished_line' || now - live.waitsSinceMs >= LINE;

/** Whether a running one goes on by a person's word alone: it waits for a message, or asks something. */
export function needsPerson(live, now = Date.now()) {
  return Boolean(live?.waitsForPerson) && stands(live, now);
}

/** `tool Bash · 12m 05s`, `retry until 14:02:33`; empty where there is nothing to say. */
export function waitText(live, now = Date.now()) {
  if (!live?.waitsSinceMs) return '';
  const { waitsFor = '', waitsOn = '', waitsUntilMs = 0 } = live;
  const since = now - live.waitsSinceMs;
  if (!waitsFor) return since >= QUIET || live.limit ? `quiet for ${elapsed(since)}` : '';
  if (waitsFor === 'message') {
    const left = waitsUntilMs > now ? ` · its input is closed in ${elapsed(waitsUntilMs - now)}` : '';
    return `your message · ${elapsed(since)}${left}`;
  }
  if (waitsFor === 'unfinished_line') {
    return stands(live, now) || live.limit ? `the rest of a line, or an answer: ${waitsOn} · ${elapsed(since)}` : '';
  }
  if (waitsFor === 'retry' && waitsUntilMs > now) return `retry until ${time(waitsUntilMs)}`;
  return `${[waitsFor.replaceAll('_', ' '), waitsOn].filter(Boolean).join(' ')} · ${elapsed(since)}`;
}

/** Whether something is wrong with a running one, or it is near a limit that ends it. */
export function isTroubled(it) {
  return Boolean(it.alarm || it.live?.limit);
}

/** `silence ends it in 2m 59s`, once that limit is near; else empty. */
export function limitText(live, now = Date.now()) {
  if (!live?.limit) return '';
  const word = { tool_silence: 'silence of its tool', wall: 'its time limit' }[live.limit] ?? live.limit;
  return `${word} ends it in ${elapsed(live.limitAtMs - now)}`;
}
