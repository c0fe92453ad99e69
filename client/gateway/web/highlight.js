// Marks where the filter's text stands in what is visible, without touching the rows.

const NAME = 'filter';
const MOST_RANGES = 500;

/** @param {HTMLElement} root @param {string} text empty: marks nothing */
export function highlight(root, text) {
  if (!globalThis.Highlight || !CSS.highlights) return;
  CSS.highlights.delete(NAME);
  if (!text) return;
  const sought = text.toLowerCase();
  const ranges = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node && ranges.length < MOST_RANGES; node = walker.nextNode()) {
    const within = node.data.toLowerCase();
    // Letters whose case has another length would shift what follows.
    if (within.length !== node.data.length || node.parentElement.closest('.row-time, .row-meta')) continue;
    for (let at = within.indexOf(sought); at >= 0; at = within.indexOf(sought, at + sought.length)) {
      const range = new Range();
      range.setStart(node, at);
      range.setEnd(node, at + sought.length);
      ranges.push(range);
    }
  }
  CSS.highlights.set(NAME, new Highlight(...ranges));
}
