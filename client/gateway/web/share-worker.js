// The shared worker: one connection per stream for all tabs of the browser.
//
// A tab that comes later, or was slow, stands at a cursor of its own. It is served from the ring of
// recent events if its cursor is in there; else it gets a stream of its own, until that one meets
// the shared one. Events are placed by their ids: nothing is sent twice, nothing is left out.
// A tab that does not acknowledge is sent no more, and goes on from its own cursor when it does.
//
// A tab that nobody sees is like one that is not there, until it is shown; of the overview it hears
// all the same, as its title tells whether its task still runs. Streams of tasks take turns.

import { BUILD } from './build.js';
import { parseObject } from './line.js';
import { Ring } from './ring.js';
import { OverviewModel } from './overview-model.js';
import { ResumingStream } from './stream.js';
import { TurnStream } from './turns.js';

const MOST_UNACKNOWLEDGED = 32;

let token = null;
/** Told to each tab, which hears of its end by it. @type {Promise<string | null>} */
const held = hold();
/** @type {Map<string, Shared>} */
const streams = new Map();

/** A stream of the gateway, and who looks at it. */
class Shared {
  /** @type {Set<Viewer>} */
  viewers = new Set();
  ring = new Ring();
  state = 'connecting';
  detail = undefined;
  #stream;

  constructor(url, after, endsByLine) {
    this.url = url;
    this.endsByLine = endsByLine;
    // The overview has no cursors: who joins it gets what the worker knows.
    this.overview = url.startsWith('/api/overview/stream') ? new OverviewModel() : null;
    const Stream = this.overview ? ResumingStream : TurnStream;
    this.#stream = new Stream({
      url,
      after,
      endsByLine,
      token: () => token,
      onEvents: (events) => this.#take(events),
      onState: (state, detail) => this.#become(state, detail),
    });
  }

  get after() {
    return this.#stream.after;
  }

  hurry() {
    this.#stream.hurry();
  }

  add(viewer) {
    this.viewers.add(viewer);
    if (viewer.looks) viewer.join();
    this.attend();
  }

  /** Is open while somebody looks. */
  attend() {
    if (this.overview) return;
    if ([...this.viewers].some((viewer) => viewer.looks)) this.#stream.wake();
    else this.#stream.rest();
  }

  remove(viewer) {
    this.viewers.delete(viewer);
    if (this.viewers.size > 0) {
      this.attend();
      return;
    }
    this.#stream.close();
    if (streams.get(this.url) === this) streams.delete(this.url);
  }

  #take(events) {
    if (this.overview) for (const event of events) this.overview.apply(parseObject(event.data) ?? {});
    else this.ring.push(events);
    for (const viewer of this.viewers) viewer.shared(events);
  }

  #become(state, detail) {
    this.state = state;
    this.detail = detail;
    // A stream that was refused is asked anew by the next who comes.
    if (state === 'refused' && streams.get(this.url) === this) streams.delete(this.url);
    for (const viewer of this.viewers) if (viewer.joined) viewer.tell(state, detail);
  }
}

/** One tab's view of one stream. */
class Viewer {
  joined = false;
  #unacknowledged = 0;
  #paused = false;
  /** @type {TurnStream | null} */
  #own = null;
  #isSeen;

  constructor(port, id, shared, after, isSeen) {
    this.port = port;
    this.id = id;
    this.stream = shared;
    this.after = after;
    this.#isSeen = isSeen;
  }

  /** Whether it wants to hear. */
  get looks() {
    return this.#isSeen || this.stream.overview !== null;
  }

  /** Its tab is shown, or is not any more. */
  see(isSeen) {
    if (this.#isSeen === isSeen) return;
    this.#isSeen = isSeen;
    if (this.stream.overview) return;
    if (!isSeen) this.#part();
    else if (!this.#paused) this.join();
    this.stream.attend();
  }

  #part() {
    this.joined = false;
    this.#own?.close();
    this.#own = null;
  }

  /** Goes on from its cursor, by the shortest way. */
  join() {
    if (this.stream.overview) {
      this.#joined();
      if (this.stream.overview.known) this.#give([{ id: null, data: this.stream.overview.snapshot() }]);
      return;
    }
    if (this.after === this.stream.after) {
      this.#joined();
      return;
    }
    const missed = this.stream.ring.after(this.after);
    if (missed) {
      this.#joined();
      if (missed.length) this.#give(missed);
      return;
    }
    this.#own = new TurnStream({
      url: this.stream.url,
      after: this.after,
      endsByLine: this.stream.endsByLine,
      token: () => token,
      onEvents: (events) => {
        this.#give(events);
        this.#meet();
      },
      onState: (state, detail) => {
        if (!this.joined) this.tell(state, detail);
      },
    });
    this.#own.wake();
  }

  /** Events of the shared stream. */
  shared(events) {
    if (this.joined && !this.#paused) this.#give(events);
    else if (this.#own) this.#meet();
  }

  acknowledge() {
    this.#unacknowledged -= 1;
    if (!this.#paused || this.#unacknowledged > MOST_UNACKNOWLEDGED / 4) return;
    this.#paused = false;
    this.joined = false;
    if (this.looks) this.join();
  }

  tell(state, detail) {
    this.port.postMessage({ id: this.id, state, detail });
  }

  leave() {
    this.#part();
    this.stream.remove(this);
  }

  #joined() {
    this.joined = true;
    this.tell(this.stream.state, this.stream.detail);
  }

  /** Gives up its own stream once both have passed the same event. */
  #meet() {
    if (this.joined || this.#paused) return;
    const missed = this.after === this.stream.after ? [] : this.stream.ring.after(this.after);
    if (!missed) return;
    this.#own?.close();
    this.#own = null;
    this.#joined();
    if (missed.length) this.#give(missed);
  }

  #give(events) {
    const last = events.findLast((event) => event.id !== null);
    if (last) this.after = last.id;
    this.port.postMessage({ id: this.id, events });
    this.#unacknowledged += 1;
    if (this.#unacknowledged < MOST_UNACKNOWLEDGED) return;
    this.#paused = true;
    this.#own?.close();
    this.#own = null;
  }
}

/** Holds a lock for as long as this worker is there. @returns its name, once it is held */
function hold() {
  const { locks } = self.navigator;
  if (!locks) return Promise.resolve(null);
  const name = `steroids.worker.${crypto.randomUUID()}`;
  return new Promise((resolve) => {
    locks.request(name, () => {
      resolve(name);
      return new Promise(() => {});
    });
  });
}

self.onconnect = ({ ports: [port] }) => {
  /** @type {Map<number, Viewer>} */
  const viewers = new Map();
  let isSeen = true;
  const see = (now) => {
    isSeen = now;
    for (const viewer of viewers.values()) viewer.see(now);
  };
  const leave = () => {
    for (const viewer of viewers.values()) viewer.leave();
    viewers.clear();
  };
  const operations = {
    hello: ({ lock }) => self.navigator.locks?.request(lock, leave),
    open({ id, url, after, endsByLine, token: fresh }) {
      token = fresh;
      let shared = streams.get(url);
      if (!shared) streams.set(url, (shared = new Shared(url, after, endsByLine)));
      const viewer = new Viewer(port, id, shared, after, isSeen);
      viewers.set(id, viewer);
      shared.add(viewer);
    },
    close({ id }) {
      viewers.get(id)?.leave();
      viewers.delete(id);
    },
    ack: ({ id }) => viewers.get(id)?.acknowledge(),
    hurry: ({ id }) => viewers.get(id)?.stream.hurry(),
    seen: ({ isSeen: now }) => see(now),
    leave,
  };
  port.onmessage = ({ data }) => operations[data.op]?.(data);
  port.postMessage({ ready: true, build: BUILD });
  held.then((lock) => lock && port.postMessage({ lock }));
};
