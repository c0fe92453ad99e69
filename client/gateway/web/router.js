// The address says what is shown: `/`, `/?project=…`, `/tasks/<id>?project=…&invocation=N&at=<cursor>`.

import { query } from './api.js';

/**
 * @typedef {{task: string | null, project: string | null, invocation: number | null, at: string | null}} Address
 */

let follow = () => {};

/** Shows what the address names, now and whenever it changes. @param {(address: Address) => void} show */
export function route(show) {
  follow = () => show(address());
  addEventListener('popstate', follow);
  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-route]');
    if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.getAttribute('href'));
  });
  follow();
}

export function go(href) {
  history.pushState(null, '', href);
  follow();
}

/** Changes the address without showing anything anew. */
export function rename(href) {
  history.replaceState(null, '', href);
}

/** @returns {Address} */
export function address() {
  const search = new URLSearchParams(location.search);
  const path = /^\/tasks\/([^/]+)\/?$/.exec(location.pathname);
  const invocation = Number(search.get('invocation'));
  return {
    task: path ? decoded(path[1]) : null,
    project: search.get('project'),
    invocation: Number.isInteger(invocation) && invocation > 0 ? invocation : null,
    at: search.get('at'),
  };
}

/** What somebody typed may be no encoding; then it stands for itself. @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function taskHref(task, project, invocation, at) {
  return `/tasks/${encodeURIComponent(task)}${query({ project, invocation, at })}`;
}
