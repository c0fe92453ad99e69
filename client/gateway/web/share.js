// Opens event streams for this tab: through the shared worker, so that all tabs together hold one
// connection per stream (a browser opens six per host), or directly where there is no such worker, or
// none yet.

import { BUILD } from './build.js';
import { ResumingStream } from './stream.js';
import { forget, token } from './session.js';

const READY_MS = 3000;
/** One that is gone this soon after another is not replaced: there might be no end to it. */
const FEWEST_MS = 10_000;
const OVER = new Set(['ended', 'refused']);

/** @typedef {{close: () => void, hurry: () => void}} Handle */

/** @type {Map<number, {id: number, options: any, direct: ResumingStream | null, isOver: boolean}>} */
const open = new Map();
let nextId = 1;
/** @type {MessagePort | null} */
let port = null;
/** The worker did not answer in time: until it does, streams are opened from here. */
let isLate = false;
/** What the worker waits for: it is free when this tab is gone, however it went. @type {string | null} */
let lock = null;
let renewed = -Infinity;
let started = false;

const isShared = () => port !== null && !isLate;

/**
 * @param {{url: string, after?: string | null, endsByLine?: boolean,
 *   onEvents: (events: import('./stream.js').StreamEvent[]) => void,
 *   onState: (state: import('./stream.js').State, detail?: object) => void}} options
 * @returns {Handle}
 */
export function openStream(options) {
  if (!started) start();
  const id = nextId++;
  const entry = { id, options: { ...options }, direct: null, isOver: false };
  open.set(id, entry);
  if (isShared()) ask(id, entry);
  else resume(id, entry);
  return {
    close() {
      if (!open.delete(entry.id)) return;
      entry.direct?.close();
      port?.postMessage({ op: 'close', id: entry.id });
    },
    hurry() {
      entry.direct?.hurry();
      port?.postMessage({ op: 'hurry', id: entry.id });
    },
  };
}

/** Opened from here, unless nobody sees this tab: each tab's connections are a host's for all. */
function resume(id, entry) {
  if (!document.hidden && !entry.isOver) entry.direct ??= direct(id, entry);
}

/** Keeps the place of one that is closed. */
function rest(entry) {
  entry.options.after = entry.direct?.after ?? entry.options.after;
  entry.direct?.close();
  entry.direct = null;
}

function look() {
  port?.postMessage({ op: 'seen', isSeen: !document.hidden });
  if (isShared()) return;
  for (const [id, entry] of open) {
    if (!document.hidden) {
      resume(id, entry);
      continue;
    }
    rest(entry);
  }
}

function direct(id, entry) {
  const { options } = entry;
  const after = entry.direct?.after ?? options.after;
  return new ResumingStream({ ...options, after, token, onState: (state, detail) => become(id, entry, state, detail) });
}

function ask(id, { options: { url, after = null, endsByLine = true }, isOver }) {
  if (isOver) return;
  port.postMessage({ op: 'open', id, url, after, endsByLine, token: token() });
}

function start() {
  started = true;
  document.addEventListener('visibilitychange', look);
  connect();
  holdLock();
  addEventListener('pagehide', () => port?.postMessage({ op: 'leave' }));
  addEventListener('pageshow', (event) => {
    if (event.persisted && isShared()) for (const [id, entry] of open) ask(id, entry);
  });
}

function connect() {
  if (typeof SharedWorker === 'undefined') return;
  let worker;
  try {
    // Tabs of another version, which may be open beside this one, have a worker that speaks as they do.
    worker = new SharedWorker('/assets/worker.js', { type: 'module', name: `steroids ${BUILD}` });
  } catch {
    return;
  }
  const its = worker.port;
  port = its;
  look();
  hello();
  const timer = setTimeout(meanwhile, READY_MS);
  worker.onerror = () => port === its && withoutWorker();
  its.onmessage = ({ data }) => {
    clearTimeout(timer);
    // The gateway may have been upgraded since this page was loaded.
    if (data.ready && data.build !== BUILD) {
      withoutWorker();
      return;
    }
    if (isLate) share();
    if (data.lock) whenFree(data.lock, () => port === its && renew());
    else receive(data);
  };
}

function holdLock() {
  if (!navigator.locks) return;
  const name = `steroids.tab.${crypto.randomUUID()}`;
  navigator.locks.request(name, () => {
    lock = name;
    hello();
    return new Promise(() => {});
  });
}

function hello() {
  if (lock) port?.postMessage({ op: 'hello', lock });
}

/** The worker holds this lock as long as it is there. With others: a tab that sleeps keeps none from it. */
function whenFree(name, act) {
  navigator.locks.request(name, { mode: 'shared' }, act);
}

function receive(message) {
  const entry = open.get(message.id);
  if (!entry) return;
  if (message.events) {
    const last = message.events.findLast((event) => event.id !== null);
    if (last) entry.options.after = last.id;
    try {
      entry.options.onEvents(message.events);
    } catch (error) {
      reportError(error);
    }
    // Whatever became of them: who does not acknowledge is sent no more.
    port?.postMessage({ op: 'ack', id: message.id });
  } else if (message.state) {
    become(message.id, entry, message.state, message.detail);
  }
}

/** The token that was refused may be an older one than a sibling has brought since. */
function become(id, entry, state, detail) {
  if (detail?.status === 401) {
    if (token() && detail.used !== token()) {
      again(id, entry);
      return;
    }
    forget(detail.used);
  }
  if (open.get(id) !== entry) return;
  entry.isOver = OVER.has(state);
  entry.options.onState(state, detail);
}

function again(id, entry) {
  if (entry.direct) {
    entry.direct = direct(id, entry);
    return;
  }
  port?.postMessage({ op: 'close', id });
  if (isShared()) ask(id, entry);
}

/** The worker is not there yet: what was asked of it is opened from here, each from where it is. */
function meanwhile() {
  isLate = true;
  for (const [id, entry] of open) resume(id, entry);
}

/** It is there after all, and all goes on through it: no other tab counts what is opened from here. */
function share() {
  isLate = false;
  for (const [id, entry] of [...open]) {
    // What it has sent of the one that was asked for is of an earlier place.
    port?.postMessage({ op: 'close', id });
    open.delete(id);
    entry.id = nextId++;
    open.set(entry.id, entry);
    rest(entry);
    ask(entry.id, entry);
  }
}

/** The worker is gone, which a browser tells nobody: all goes on through a new one, each from where it is. */
function renew() {
  const isSoon = performance.now() - renewed < FEWEST_MS;
  renewed = performance.now();
  if (isSoon) {
    withoutWorker();
    return;
  }
  port.onmessage = null;
  port.close();
  port = null;
  connect();
  for (const [id, entry] of open) {
    if (isShared()) ask(id, entry);
    else resume(id, entry);
  }
}

/** There is no worker to come, or none to talk to. */
function withoutWorker() {
  if (!port) return;
  port.onmessage = null;
  port.postMessage({ op: 'leave' });
  port.close();
  port = null;
  for (const [id, entry] of open) resume(id, entry);
}
