// Opens event streams for this tab: through the shared worker, so that all tabs together hold one
// connection per stream (a browser opens six per host), or directly where there is no such worker.

import { ResumingStream } from './stream.js';
import { forget, token } from './session.js';

const READY_MS = 3000;

/** @typedef {{close: () => void, hurry: () => void}} Handle */

/** @type {Map<number, {options: any, direct: ResumingStream | null}>} */
const open = new Map();
let nextId = 1;
/** @type {MessagePort | null} */
let port = null;
let started = false;

/**
 * @param {{url: string, after?: string | null, endsByLine?: boolean,
 *   onEvents: (events: import('./stream.js').StreamEvent[]) => void,
 *   onState: (state: import('./stream.js').State, detail?: object) => void}} options
 * @returns {Handle}
 */
export function openStream(options) {
  if (!started) connect();
  const id = nextId++;
  const entry = { options: { ...options }, direct: null };
  open.set(id, entry);
  if (port) ask(id, entry);
  else resume(id, entry);
  return {
    close() {
      if (!open.delete(id)) return;
      entry.direct?.close();
      port?.postMessage({ op: 'close', id });
    },
    hurry() {
      entry.direct?.hurry();
      port?.postMessage({ op: 'hurry', id });
    },
  };
}

/** Opened from here, unless nobody sees this tab: each tab's connections are a host's for all. */
function resume(id, entry) {
  if (!document.hidden) entry.direct ??= direct(id, entry);
}

function look() {
  port?.postMessage({ op: 'seen', isSeen: !document.hidden });
  if (port) return;
  for (const [id, entry] of open) {
    if (!document.hidden) {
      resume(id, entry);
      continue;
    }
    entry.options.after = entry.direct?.after ?? entry.options.after;
    entry.direct?.close();
    entry.direct = null;
  }
}

function direct(id, entry) {
  const { options } = entry;
  const after = entry.direct?.after ?? options.after;
  return new ResumingStream({ ...options, after, token, onState: (state, detail) => become(id, entry, state, detail) });
}

function ask(id, { options: { url, after = null, endsByLine = true } }) {
  port.postMessage({ op: 'open', id, url, after, endsByLine, token: token() });
}

function connect() {
  started = true;
  document.addEventListener('visibilitychange', look);
  if (typeof SharedWorker === 'undefined') return;
  let worker;
  try {
    worker = new SharedWorker('/assets/share-worker.js', { type: 'module', name: 'steroids' });
  } catch {
    return;
  }
  port = worker.port;
  look();
  const timer = setTimeout(withoutWorker, READY_MS);
  worker.onerror = withoutWorker;
  port.onmessage = ({ data }) => {
    clearTimeout(timer);
    receive(data);
  };
  holdLock();
  addEventListener('pagehide', () => port?.postMessage({ op: 'leave' }));
  addEventListener('pageshow', (event) => {
    if (event.persisted) for (const [id, entry] of open) port ? ask(id, entry) : null;
  });
}

/** The worker waits for this lock: it is free when the tab is gone, however it went. */
function holdLock() {
  if (!navigator.locks) return;
  const name = `steroids.tab.${crypto.randomUUID()}`;
  navigator.locks.request(name, () => {
    port?.postMessage({ op: 'hello', lock: name });
    return new Promise(() => {});
  });
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
  if (open.get(id) === entry) entry.options.onState(state, detail);
}

function again(id, entry) {
  if (entry.direct) {
    entry.direct = direct(id, entry);
    return;
  }
  port?.postMessage({ op: 'close', id });
  if (port) ask(id, entry);
}

/** The worker did not start: what was asked of it is opened from here, each from where it is. */
function withoutWorker() {
  if (!port) return;
  port.onmessage = null;
  port.close();
  port = null;
  for (const [id, entry] of open) resume(id, entry);
}
