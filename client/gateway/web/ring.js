// The last events of a stream, bounded in number and size.

const MOST_EVENTS = 4096;
const MOST_CHARACTERS = 2 << 20;

export class Ring {
  /** @type {import('./stream.js').StreamEvent[]} */
  #events = [];
  #from = 0;
  #characters = 0;

  /** @param {import('./stream.js').StreamEvent[]} events */
  push(events) {
    for (const event of events) {
      this.#events.push(event);
      this.#characters += event.data.length;
    }
    while (this.#events.length - this.#from > MOST_EVENTS || this.#characters > MOST_CHARACTERS) {
      if (this.#from >= this.#events.length) break;
      this.#characters -= this.#events[this.#from].data.length;
      this.#events[this.#from] = undefined;
      this.#from += 1;
    }
    if (this.#from > MOST_EVENTS) {
      this.#events = this.#events.slice(this.#from);
      this.#from = 0;
    }
  }

  /** What came after the event with this id; null if that event is not here. */
  after(id) {
    for (let at = this.#events.length - 1; at >= this.#from; at -= 1) {
      if (this.#events[at].id === id) return this.#events.slice(at + 1);
    }
    return null;
  }
}
