// The session: a one-time code in the fragment is traded for the token, which is kept for this tab
// (sessionStorage) and lent to sibling tabs that ask for it. A gateway without tokens needs none.

const KEY = 'steroids.token';
const channel = 'BroadcastChannel' in self ? new BroadcastChannel('steroids.session') : null;
// A browser that is busy takes its time; one without siblings sees the sign-in page so much later.
const SIBLINGS_ANSWER_MS = 1500;

let current = stored();
/** The token that was refused last: a sibling may not know of it yet. */
let stale = null;
/** @type {Set<() => void>} */
const lost = new Set();
/** @type {Set<() => void>} */
const found = new Set();

/** The token, or null. */
export function token() {
  return current;
}

/** Calls back when the token turns out not to be valid any more. */
export function onLost(callback) {
  lost.add(callback);
}

/** Calls back when a sibling brings a token to a tab that has none. */
export function onFound(callback) {
  found.add(callback);
}

/** Gives the token up, if it is still the one that was refused. */
export function forget(refused) {
  if (refused !== current) return;
  stale = refused ?? stale;
  keep(null);
  for (const callback of lost) callback();
}

/**
 * Finds out how this tab may talk to the gateway.
 * @returns {Promise<{ok: boolean, reason?: 'code' | 'none'}>}
 */
export async function begin() {
  const code = takeCode();
  if ((code && (await trade(code))) || current || (await askSiblings())) return { ok: true };
  const isIn = await isOpen();
  // A sibling may have brought one meanwhile.
  return { ok: isIn || current !== null, reason: code ? 'code' : 'none' };
}

/** The code of `#code=…`, which is taken out of the address at once. */
function takeCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get('code');
  if (code) history.replaceState(history.state, '', location.pathname + location.search);
  return code;
}

async function trade(code) {
  try {
    const response = await fetch('/api/session', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ code }),
    });
    const body = await response.json();
    if (!response.ok || typeof body.token !== 'string') return false;
    keep(body.token);
    channel?.postMessage({ token: current });
    return true;
  } catch {
    return false;
  }
}

function askSiblings() {
  if (!channel) return Promise.resolve(false);
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish(false), SIBLINGS_ANSWER_MS);
    const listener = ({ data }) => {
      if (typeof data?.token !== 'string') return;
      keep(data.token);
      finish(true);
    };
    const finish = (found) => {
      clearTimeout(timer);
      channel.removeEventListener('message', listener);
      resolve(found);
    };
    channel.addEventListener('message', listener);
    channel.postMessage({ ask: true });
  });
}

/** Whether the gateway answers without a token (`--auth none`). */
async function isOpen() {
  try {
    return (await fetch('/api/status', { cache: 'no-store' })).ok;
  } catch {
    return false;
  }
}

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function keep(value) {
  current = value;
  try {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  } catch {
    // Storage may be off; the token then lives as long as this page.
  }
}

channel?.addEventListener('message', ({ data }) => {
  if (data?.ask && current) channel.postMessage({ token: current });
  // A sibling traded a newer code: the token may have been rotated.
  else if (typeof data?.token === 'string' && data.token !== stale) take(data.token);
});

function take(newer) {
  const isNews = current === null;
  keep(newer);
  if (isNews) for (const callback of found) callback();
}
