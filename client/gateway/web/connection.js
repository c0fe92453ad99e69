// How this page stands to the gateway and the daemon, told as it is. Each stream reports; what the
// badge shows is the report of the one that matters most on the page.

import { setText } from './dom.js';

const SAID = {
  connecting: ['Connecting', 'Connecting to the gateway'],
  'catching-up': ['Catching up', 'Reading what has happened so far'],
  live: ['Live', 'What happens is shown as it happens'],
  away: ['Daemon away', 'steroidsd does not answer; the page goes on when it is back. Agents run on'],
  gone: ['Project gone', 'The folder of the project is gone; the page goes on when it is back. What runs there runs on'],
  reconnecting: ['Reconnecting', 'The gateway does not answer; the page goes on where it was'],
  refused: ['Refused', 'The gateway refuses the stream'],
  ended: ['Ended', 'The invocation is over; all of it is here'],
};

/** @type {Map<string, {state: string, detail?: any}>} */
const reports = new Map();

/** @param {'overview' | 'task'} who @param {string | null} state null: it is closed */
export function report(who, state, detail) {
  if (state === null) reports.delete(who);
  else reports.set(who, { state, detail });
  show();
}

function show() {
  const badge = document.getElementById('connection');
  const task = reports.get('task');
  const overview = reports.get('overview');
  // A log that has ended needs no stream: what matters then is whether news would come.
  const shown = task && task.state !== 'ended' ? task : overview ?? task ?? { state: 'connecting' };
  const [word, meaning] = SAID[shown.state] ?? SAID.connecting;
  if (badge.dataset.state === shown.state) return;
  badge.dataset.state = shown.state;
  badge.title = shown.detail?.error ? `${meaning}: ${shown.detail.error}` : meaning;
  setText(badge.lastElementChild, word);
}
