// The keys of the activity panel, as the help dialog lists them.

/** @type {[string, string][]} */
export const PANEL_KEYS = [
  ['j / k, ↓ / ↑', 'next, previous event'],
  ['Enter or Space', 'open, fold'],
  ['PgDn / PgUp', 'a page on, back'],
  ['Home', 'first event'],
  ['End', 'newest event, and follow'],
  ['/', 'filter'],
  ['c', 'copy the command or text'],
  ['l', 'copy a link to the event'],
];

/**
 * @param {import('./panel.js').Panel} panel @param {HTMLElement} scroller
 * @returns {(event: KeyboardEvent) => void} takes a key that was pressed elsewhere
 */
export function panelKeys(panel, scroller) {
  const step = (by) => {
    const { current } = panel;
    const { first, last } = panel.list.visible();
    panel.select(current === null ? (by > 0 ? first : last) : current + by);
  };
  const page = (by) => panel.list.by(by * (scroller.clientHeight - 2 * panel.list.rowHeight));
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    PageDown: () => page(1),
    PageUp: () => page(-1),
    Home: () => panel.select(0),
    End: () => panel.toEnd(),
    Enter: () => panel.current !== null && panel.toggle(panel.current),
    ' ': () => panel.current !== null && panel.toggle(panel.current),
    c: () => panel.current !== null && panel.copyCommand(panel.current),
    l: () => panel.current !== null && panel.copyLink(panel.current),
  };
  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onControl = event.target.closest('button, a, input, pre');
    if (onControl && (event.key === 'Enter' || event.key === ' ')) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  scroller.addEventListener('keydown', press);
  return press;
}
