// What the overview stream has told: projects, what runs, what ended lately, what is held. Pure state; used by
// the page, and by the shared worker to tell a tab that joins later.

const MOST_RECENT = 50;

const isRunning = (invocation) => invocation.status === 'running' || invocation.status === 'queued';

/** Ids are per project. */
export const keyOf = (invocation) => `${invocation.project}\n${invocation.id}`;

export class OverviewModel {
  known = false;
  projects = [];
  /** @type {Map<string, any>} by {@link keyOf} */
  #running = new Map();
  #isOrdered = true;
  /** Newest first. */
  recent = [];
  /** Providers of which nothing is started, also such whose time has come since. */
  holds = [];

  /** What runs and what waits, by {@link keyOf}, in the order they are shown. */
  get running() {
    // Once for all that was told since: where one of a thousand begins, each that waits has another place.
    if (!this.#isOrdered) this.#order();
    return this.#running;
  }

  /** Takes one event; others than these are passed over. */
  apply(event) {
    if (event.type === 'snapshot') {
      this.known = true;
      this.projects = event.projects ?? [];
      this.#running = new Map((event.running ?? []).map((it) => [keyOf(it), it]));
      this.recent = (event.recent ?? []).filter((it) => !isRunning(it)).slice(0, MOST_RECENT);
      this.holds = event.holds ?? [];
      this.#isOrdered = false;
    } else if (event.type === 'holds') {
      this.holds = event.holds ?? [];
    } else if (event.type === 'projects') {
      this.projects = event.projects ?? [];
    } else if (event.type === 'invocation' && event.invocation) {
      this.#put({ project: event.project, ...event.invocation });
    }
  }

  /** All of it, as the event that would tell it. */
  snapshot() {
    const { projects, recent, holds } = this;
    return JSON.stringify({ type: 'snapshot', projects, running: [...this.running.values()], recent, holds });
  }

  #put(invocation) {
    const key = keyOf(invocation);
    const before = this.#running.get(key);
    if (!before && invocation.retryOf) this.#retried(invocation);
    if (isRunning(invocation)) {
      this.#running.set(key, invocation);
      if (before?.status !== invocation.status || before?.place !== invocation.place) this.#isOrdered = false;
      return;
    }
    this.#running.delete(key);
    this.recent = [invocation, ...this.recent.filter((it) => keyOf(it) !== key)];
    this.recent.sort((a, b) => (b.completedAtMs ?? 0) - (a.completedAtMs ?? 0));
    this.recent.length = Math.min(this.recent.length, MOST_RECENT);
  }

  /** Of what is tried again no event tells: its next attempt does. */
  #retried({ project, id, retryOf }) {
    this.recent = this.recent.map((it) => (it.id === retryOf && it.project === project ? { ...it, retriedBy: id } : it));
  }

  #order() {
    // What waits comes behind what runs, in the order in which it is to start.
    const place = (it) => (it.status === 'queued' ? it.place ?? Infinity : 0);
    const since = (it) => it.startedAtMs ?? 0;
    const newest = [...this.#running.values()].sort((a, b) => (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : since(b) - since(a)));
    this.#running = new Map(newest.map((it) => [keyOf(it), it]));
    this.#isOrdered = true;
  }
}
