// What is copied where a selection goes over several rows: the lines, as in a file, without the times,
// marks and buttons that stand beside them.

/** What stands on lines of its own. */
const BLOCKS = 'article, div, dl, h4, header, li, p, pre, section, ul, .prose-line, .prose-item';
/** What is there for the eye or the ear alone, or to be pressed. */
const FURNITURE = '.visually-hidden, .more, .copy, .icon, .row-chevron';

/** @param {ClipboardEvent} event @param {HTMLElement} list */
export function copySelection(event, list) {
  const selection = getSelection();
  if (!selection || selection.isCollapsed || event.target.closest?.('input, textarea')) return;
  const range = selection.getRangeAt(0);
  const rows = [...list.querySelectorAll('.row')].filter((row) => range.intersectsNode(row));
  if (rows.length < 2) return;
  rows.sort((a, b) => Number(a.dataset.index) - Number(b.dataset.index));
  const texts = rows.flatMap((row) => [...row.querySelectorAll('.row-main, .row-detail')])
    .filter((part) => range.intersectsNode(part))
    .map((part) => textOf(within(range, part)));
  event.clipboardData.setData('text/plain', texts.filter(Boolean).join('\n'));
  event.preventDefault();
}

/** What of a part is selected. */
function within(range, part) {
  const own = document.createRange();
  own.selectNodeContents(part);
  if (own.compareBoundaryPoints(Range.START_TO_START, range) < 0) own.setStart(range.startContainer, range.startOffset);
  if (own.compareBoundaryPoints(Range.END_TO_END, range) > 0) own.setEnd(range.endContainer, range.endOffset);
  return own.cloneContents();
}

/** @param {Node} node */
function textOf(node) {
  let text = '';
  const onNewLine = () => {
    if (text && !text.endsWith('\n')) text += '\n';
  };
  const add = (it) => {
    if (it.nodeType === Node.TEXT_NODE) text += it.data;
    if (it.nodeType === Node.ELEMENT_NODE && it.matches(FURNITURE)) return;
    const isBlock = it.nodeType === Node.ELEMENT_NODE && it.matches(BLOCKS);
    if (isBlock) onNewLine();
    it.childNodes.forEach(add);
    if (isBlock) onNewLine();
  };
  add(node);
  return text.replace(/\n$/, '');
}
