// Makes elements. What agents print enters the page through here and only as text nodes: nothing
// in this folder sets markup, and the page's policy (CSP) would refuse scripts in it anyway.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An element with attributes and children. A string or number child becomes a text node; null and
 * false are left out. `on` holds listeners, `data` becomes data-* attributes, `class` and the rest
 * are attributes; a value of false or null leaves an attribute out.
 *
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...any} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** As {@link h}, for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === 'data') {
      for (const [key, item] of Object.entries(value)) if (item !== undefined) element.dataset[key] = item;
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(element, child);
    else element.append(child instanceof Node ? child : String(child));
  }
}

/** Replaces what an element holds. */
export function set(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/** Sets an element's text where it differs, so that nothing is laid out or announced for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Strokes of the icons, on a grid of 16. */
const ICONS = {
  check: 'M3.5 8.5l3 3 6-7',
  cross: 'M4 4l8 8M12 4l-8 8',
  chevron: 'M6 3.5L10.5 8 6 12.5',
  copy: 'M5.5 5.5h7v7h-7zM3.5 10.5v-7h7',
  link: 'M6.5 9.5l3-3M7 5l1.5-1.5a2.5 2.5 0 0 1 4 4L11 9M9 11l-1.5 1.5a2.5 2.5 0 0 1-4-4L5 7',
  down: 'M8 3v9M4.5 8.5L8 12l3.5-3.5',
  stop: 'M4.5 4.5h7v7h-7z',
  play: 'M5.5 3.5v9l7-4.5z',
  send: 'M2.5 8L13.5 3 9.5 13 7.5 8.8zM7.5 8.8L13.5 3',
  theme: 'M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11',
  search: 'M7 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM10 10l3 3',
  retry: 'M12.5 8a4.5 4.5 0 1 1-1.3-3.2M12.5 2.5v3h-3',
  warn: 'M8 3L14 13H2zM8 6.5v3M8 11.2v.1',
  info: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 7.5v3.2M8 5.2v.1',
  person: 'M8 3a2.3 2.3 0 1 0 0 4.6A2.3 2.3 0 0 0 8 3zM3.5 13c.5-2.5 2.3-3.8 4.5-3.8s4 1.3 4.5 3.8',
  list: 'M3 4h.1M3 8h.1M3 12h.1M6 4h7M6 8h7M6 12h7',
  thought: 'M5 10a3 3 0 0 1-.5-6 4 4 0 0 1 7.3 1A2.6 2.6 0 0 1 11 10zM5.5 12.7h.1',
  text: 'M3 4.5h10M3 8h10M3 11.5h6',
  question: 'M6 6a2 2 0 1 1 2.7 1.9c-.5.2-.7.6-.7 1.1v.4M8 11.6v.1',
  clock: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3.2l2 1.3',
  dot: 'M8 7.9v.2',
};

/** A decorative icon; what it means must stand in a label beside it. */
export function icon(name) {
  return svg('svg', { class: `icon icon-${name}`, viewBox: '0 0 16 16', 'aria-hidden': 'true', focusable: 'false' },
    svg('path', { d: ICONS[name] }));
}
