// What is shown without a token: how to get in.

import { copyButton } from './clipboard.js';
import { h, set } from './dom.js';

const COMMAND = 'steroidsctl web';
const SAID = {
  code: 'That link was used before, or is older than a minute.',
  none: 'This page shows what agents do on your machine, so it opens with a link made for you.',
  lost: 'The token of this page is not valid any more.',
};

/** @param {HTMLElement} view @param {'code' | 'none' | 'lost'} reason */
export function showSignIn(view, reason) {
  document.title = 'Sign in · steroids';
  document.getElementById('connection').hidden = true;
  set(document.getElementById('crumbs'));
  set(view, h('div', { class: 'notice-page', data: { test: 'signin' } },
    h('h1', {}, 'Open it from the terminal'),
    h('p', {}, SAID[reason] ?? SAID.none, ' Run this on the machine where the gateway runs, and open the address it prints:'),
    h('div', { class: 'command-box' }, h('code', {}, COMMAND), copyButton('Copy the command', COMMAND)),
    h('p', { class: 'dim' }, 'The address works once, for a minute. Other tabs of this browser then need none.')));
}

/** @param {import('./api.js').ApiError} error */
function headingOf({ status, reason }) {
  if (reason === 'FOLDER_GONE') return 'The project’s folder is gone';
  if (status === 404) return 'Not found';
  // Without a reason it is the gateway that says so.
  return status === 503 && !reason ? 'The daemon is away' : 'This cannot be shown';
}

/** A view that cannot be shown, and what to do. */
export function showFailure(view, error, again) {
  set(view, h('div', { class: 'notice-page', data: { test: 'failure' } },
    h('h1', {}, headingOf(error)),
    h('p', {}, error.message),
    error.hint ? h('p', { class: 'dim' }, error.hint) : null,
    h('p', {}, h('button', { type: 'button', class: 'button', on: { click: again } }, 'Try again'))));
}
