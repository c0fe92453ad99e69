// The overview stream, held while the page is open: every view hears from it what runs and ends.

import { report } from './connection.js';
import { parseObject } from './line.js';
import { OverviewModel } from './overview-model.js';
import { openStream } from './share.js';

export const overview = new OverviewModel();

/** @type {Set<(event: any) => void>} */
const listeners = new Set();
let stream = null;

export function startOverview() {
  if (stream) return;
  stream = openStream({
    url: '/api/overview/stream',
    onEvents(events) {
      for (const { data } of events) {
        const event = parseObject(data) ?? {};
        overview.apply(event);
        for (const listener of listeners) listener(event);
      }
    },
    onState(state, detail) {
      report('overview', state, detail);
    },
  });
}

/** Hears each event after the model has taken it. @returns {() => void} stops it */
export function onOverview(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
