// Streams that take turns. A browser opens six connections to a host, for all tabs together, and a
// stream keeps one for as long as it is open: a few are open at once, and where more are wanted each
// gives its place up after a while and goes on from its cursor when its turn comes again.
//
//   waiting ──(a place is free)──> open ──(others wait, and it had its time)──> waiting
//   resting (nobody looks) <──> waiting, open            over: the stream has ended, or was refused

import { parseObject } from './line.js';
import { ResumingStream } from './stream.js';

/** With the overview, and two for everything else, as many as there are connections. */
const MOST_OPEN = 3;
const TURN_MS = 2000;
/** Of one that waits for a log: the gateway says after 5 s that there is none, to who is still there. */
const LOG_TURN_MS = 8000;

/** Who is open, and who waits for it. Each that waits gets a place, in the order of asking. */
class Places {
  /** @type {Map<TurnStream, {hadItsTime: boolean, timer: number}>} */
  #open = new Map();
  /** @type {Set<TurnStream>} */
  #waiting = new Set();

  ask(stream) {
    if (this.#open.has(stream)) return;
    this.#waiting.add(stream);
    this.pass();
  }

  leave(stream) {
    this.#waiting.delete(stream);
    this.#forget(stream);
    this.pass();
  }

  /** Hands places on. One that has not heard anything yet keeps its own: it would never get on. */
  pass() {
    let lacking = this.#waiting.size - (MOST_OPEN - this.#open.size);
    for (const [stream, turn] of this.#open) {
      if (lacking <= 0) break;
      if (!turn.hadItsTime || !stream.hasHeard) continue;
      this.#forget(stream);
      stream.suspend();
      this.#waiting.add(stream);
      lacking -= 1;
    }
    for (const stream of this.#waiting) {
      if (this.#open.size >= MOST_OPEN) return;
      this.#waiting.delete(stream);
      this.#begin(stream);
    }
  }

  /** Gives it time from now on until it must have heard whether its log comes. */
  prolong(stream) {
    if (!this.#open.has(stream)) return;
    this.#forget(stream);
    this.#open.set(stream, this.#turn(LOG_TURN_MS));
  }

  #begin(stream) {
    this.#open.set(stream, this.#turn(TURN_MS));
    stream.begin();
  }

  #turn(time) {
    const turn = { hadItsTime: false, timer: 0 };
    turn.timer = setTimeout(() => {
      turn.hadItsTime = true;
      this.pass();
    }, time);
    return turn;
  }

  #forget(stream) {
    clearTimeout(this.#open.get(stream)?.timer);
    this.#open.delete(stream);
  }
}

const places = new Places();

/** A {@link ResumingStream} that is open when it is its turn. */
export class TurnStream {
  #options;
  /** @type {ResumingStream | null} */
  #stream = null;
  #isOver = false;
  #told = 'connecting';
  /** The cursor of the last event given. */
  after;
  /** Whether it got on in this turn, or had word that there is nothing yet. */
  hasHeard = false;

  /** @param options those of a {@link ResumingStream}; it rests until it is woken */
  constructor(options) {
    this.#options = options;
    this.after = options.after ?? null;
  }

  /** Somebody looks. */
  wake() {
    if (!this.#isOver) places.ask(this);
  }

  /** Nobody looks: no place is held. */
  rest() {
    if (this.#isOver) return;
    this.suspend();
    places.leave(this);
    this.#tell('connecting');
  }

  close() {
    this.#isOver = true;
    this.suspend();
    places.leave(this);
  }

  hurry() {
    this.#stream?.hurry();
  }

  /** Its turn. */
  begin() {
    this.hasHeard = false;
    this.#stream = new ResumingStream({
      ...this.#options,
      after: this.after,
      onEvents: (events) => this.#take(events),
      onState: (state, detail) => this.#become(state, detail),
    });
  }

  /** The end of its turn. */
  suspend() {
    this.#stream?.close();
    this.#stream = null;
  }

  #take(events) {
    const last = events.findLast((event) => event.id !== null);
    if (last) this.after = last.id;
    this.#options.onEvents(events);
    // What the gateway says itself moves no cursor: the next turn would begin with the same.
    if (last) this.#heard();
    else if (parseObject(events.at(-1)?.data ?? '')?.type === 'waiting_for_log') places.prolong(this);
  }

  #become(state, detail) {
    const isOver = state === 'ended' || state === 'refused';
    if (isOver) this.#isOver = true;
    // Between two turns it is as live as it can be.
    if (state !== 'catching-up' || this.#told !== 'live') this.#tell(state, detail);
    if (isOver) places.leave(this);
    else if (state !== 'catching-up') this.#heard();
  }

  #heard() {
    this.hasHeard = true;
    places.pass();
  }

  #tell(state, detail) {
    if (this.#told === state) return;
    this.#told = state;
    this.#options.onState(state, detail);
  }
}
