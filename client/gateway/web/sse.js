// Parses server-sent events as their bytes arrive. Pure: text in, items out.

/**
 * Of an event, `id` is that of its own frame: what has none is no line of a log.
 * @typedef {{kind: 'event', id: string | null, data: string}
 *   | {kind: 'comment', text: string}
 *   | {kind: 'retry', ms: number}} Item
 */

export class SseParser {
  #rest = '';
  #id = null;
  /** @type {string[]} */
  #data = [];
  #decoder = new TextDecoder();

  /** @param {Uint8Array} chunk @returns {Item[]} */
  push(chunk) {
    const text = this.#rest + this.#decoder.decode(chunk, { stream: true });
    /** @type {Item[]} */
    const items = [];
    let from = 0;
    for (let at = text.indexOf('\n', from); at >= 0; at = text.indexOf('\n', from)) {
      this.#line(text.slice(from, text[at - 1] === '\r' ? at - 1 : at), items);
      from = at + 1;
    }
    this.#rest = text.slice(from);
    return items;
  }

  #line(line, items) {
    if (line === '') {
      if (this.#data.length) items.push({ kind: 'event', id: this.#id, data: this.#data.join('\n') });
      this.#data = [];
      this.#id = null;
      return;
    }
    if (line[0] === ':') {
      items.push({ kind: 'comment', text: line.slice(1).trim() });
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') this.#data.push(value);
    else if (field === 'id') this.#id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) items.push({ kind: 'retry', ms: Number(value) });
  }
}
