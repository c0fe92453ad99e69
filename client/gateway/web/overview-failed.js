// What failed lately and was not tried again, however much has ended since: the overview stream tells of the last
// fifty ends alone, and of a night with many more what failed first is what nobody would see.

import { get, query } from './api.js';
import { asking } from './asking.js';

const DAYS = 3;
const MOST = 200;

/** As the daemon has it: what somebody has ended is not to be mended. */
export function isUnresolved(it) {
  return (it.status === 'failed' || it.status === 'timeout') && it.outcome !== 'cancelled' && !it.retriedBy;
}

export class Failed {
  #signal;
  #changed;
  /** Newest first. */
  list = [];
  /** There are more than are listed. */
  isMore = false;

  /** @param {AbortSignal} signal ends what is asked @param {() => void} changed */
  constructor(signal, changed) {
    this.#signal = signal;
    this.#changed = changed;
    this.look = asking(() => this.#read(), signal);
  }

  async #read() {
    const since = Date.now() - DAYS * 86_400_000;
    try {
      const answer = await get(`/api/invocations${query({ unresolved: 1, since, limit: MOST })}`, { signal: this.#signal });
      this.list = answer.invocations;
      this.isMore = Boolean(answer.nextPage);
    } catch {
      // What was known stays: that the daemon is away is said elsewhere, and all is asked for when it is back.
      return;
    }
    this.#changed();
  }
}
