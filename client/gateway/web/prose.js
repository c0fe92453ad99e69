// An agent's text as it is meant to be read: paragraphs, code, emphasis, headings, lists. A small
// part of Markdown, made of elements and text nodes; whatever is not understood stays as it stands.

import { h } from './dom.js';

const FENCE = /^\s*(```|~~~)\s*([\w+#.-]*)\s*$/;
const INLINE = /(`+)([^`](?:.*?[^`])?)\1(?!`)|\*\*([^*\s](?:[^*]*[^*\s])?)\*\*/g;

/** @param {string} text cleaned @returns {HTMLElement} */
export function prose(text) {
  const out = h('div', { class: 'prose', dir: 'auto' });
  let block = [];
  const flush = () => {
    if (block.length) out.append(paragraph(block));
    block = [];
  };
  const lines = text.replace(/\n+$/, '').split('\n');
  for (let i = 0; i < lines.length; i += 1) {
    const fence = FENCE.exec(lines[i]);
    if (fence) {
      flush();
      const end = closing(lines, i + 1, fence[1]);
      out.append(h('pre', { class: 'code', dir: 'ltr' }, lines.slice(i + 1, end).join('\n')));
      i = end;
    } else if (lines[i].trim() === '') {
      flush();
    } else if (/^#{1,6} /.test(lines[i])) {
      flush();
      out.append(h('p', { class: 'prose-heading' }, inline(lines[i].replace(/^#+ /, ''))));
    } else {
      block.push(lines[i]);
    }
  }
  flush();
  return out;
}

function closing(lines, from, fence) {
  for (let i = from; i < lines.length; i += 1) if (lines[i].trim() === fence) return i;
  return lines.length;
}

function paragraph(lines) {
  const item = /^(\s*)(?:[-*•]|(\d+[.)])) +/;
  const parts = lines.map((line) => {
    const bullet = item.exec(line);
    if (!bullet) return h('span', { class: 'prose-line' }, inline(line));
    return h('span', { class: bullet[1].length > 1 ? 'prose-item deep' : 'prose-item' },
      h('span', { class: 'prose-bullet', 'aria-hidden': 'true' }, bullet[2] ?? '•'),
      h('span', {}, inline(line.slice(bullet[0].length))));
  });
  return h('p', {}, parts);
}

function inline(text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > from) parts.push(text.slice(from, found.index));
    parts.push(found[2] !== undefined ? h('code', {}, found[2]) : h('strong', {}, found[3]));
    from = found.index + found[0].length;
  }
  if (from < text.length) parts.push(text.slice(from));
  return parts;
}
