// The address says what is shown: `/`, `/?project=…&q=<text>&show=needs`, `/tasks/<id>?project=…&invocation=N&at=<cursor>`
// (of a task whose id is dots alone `/tasks/-?task=<id>&…`),
// `/usage?days=30&by=task&unit=cost&project=…`.

import { query, taskPlace } from './api.js';

/** Places in what was shown, by the entry of the browser's history in which it was; more of them nobody goes back to. */
const KEY = 'steroids.places';
const MOST_PLACES = 50;
/** @type {Map<string, any>} */
const places = known();
let entry = '';
let made = 0;
let placeNow = () => null;

/**
 * @typedef {{view: 'overview' | 'task' | 'usage', days: number, by: string, q: string, show: string, unit: 'cost' | 'tokens', task: string | null, project: string | null, invocation: number | null, at: string | null}} Address
 */

let follow = () => {};

/**
 * Shows what the address names, now and whenever it changes; where somebody has been there before, at the place where they were.
 * @param {(address: Address, place?: any) => void} show @param {() => any} place where somebody is in what is shown; null: nowhere
 */
export function route(show, place) {
  follow = () => show(address(), places.get(entry));
  placeNow = place;
  arrive();
  addEventListener('popstate', () => {
    // The address is another one already; what it showed before is still there.
    keep(placeNow());
    arrive();
    follow();
  });
  addEventListener('pagehide', () => keep(placeNow()));
  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-route]');
    if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.getAttribute('href'));
  });
  follow();
}

export function go(href) {
  step(href);
  follow();
}

/** Changes the address without showing anything anew. */
export function rename(href) {
  history.replaceState({ entry }, '', href);
}

/** As {@link rename}, and the browser's Back leads to the address before, and there to this place. */
export function step(href, place = placeNow()) {
  keep(place);
  entry = another();
  history.pushState({ entry }, '', href);
}

/** Takes the browser's present entry for the one that is shown. */
function arrive() {
  entry = history.state?.entry ?? another();
  history.replaceState({ entry }, '');
}

function another() {
  made += 1;
  return `${Date.now()}-${made}`;
}

function keep(place) {
  places.delete(entry);
  if (place) places.set(entry, place);
  while (places.size > MOST_PLACES) places.delete(places.keys().next().value);
  try {
    sessionStorage.setItem(KEY, JSON.stringify([...places]));
  } catch {
    // Without storage they are known until the page is loaded again.
  }
}

function known() {
  try {
    return new Map(JSON.parse(sessionStorage.getItem(KEY)) ?? []);
  } catch {
    // Another version of the page may have written something else.
    return new Map();
  }
}

/** @returns {Address} */
export function address() {
  const search = new URLSearchParams(location.search);
  const path = /^\/tasks\/([^/]+)\/?$/.exec(location.pathname);
  const invocation = Number(search.get('invocation'));
  return {
    view: path ? 'task' : location.pathname === '/usage' ? 'usage' : 'overview',
    days: chosen(Number(search.get('days')), [30, 7, 90, 365]),
    by: chosen(search.get('by'), ['task', 'model', 'provider', 'project', 'role']),
    unit: chosen(search.get('unit'), ['cost', 'tokens']),
    q: search.get('q') ?? '',
    show: chosen(search.get('show'), ['', 'running', 'waiting', 'needs', 'failed']),
    task: path ? search.get('task') ?? decoded(path[1]) : null,
    project: search.get('project'),
    invocation: Number.isInteger(invocation) && invocation > 0 ? invocation : null,
    at: search.get('at'),
  };
}

/** What is asked for if there is such a thing, else the first. */
function chosen(asked, known) {
  return known.includes(asked) ? asked : known[0];
}

/** What somebody typed may be no encoding; then it stands for itself. @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {{project?: string | null, q?: string, show?: string}} [shown] */
export function overviewHref(shown = {}) {
  return `/${query(shown)}`;
}

export function usageHref(shown = {}) {
  return `/usage${query(shown)}`;
}

export function taskHref(task, project, invocation, at) {
  const place = taskPlace(task);
  return `/tasks/${place.segment}${query({ task: place.task, project, invocation, at })}`;
}
