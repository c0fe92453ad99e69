// Copies texts, and says so: beside the button for the eye, in a live region for the ear.

import { h, icon } from './dom.js';

/** @param {HTMLElement | null} button */
export async function copy(text, button, said = 'Copied') {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    if (!copyBySelection(text)) said = 'The browser does not let this page copy';
  }
  announce(said);
  if (!button) return;
  button.dataset.copied = 'true';
  setTimeout(() => delete button.dataset.copied, 1200);
}

function copyBySelection(text) {
  const field = h('textarea', { class: 'visually-hidden', 'aria-hidden': 'true' });
  field.value = text;
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  focused?.focus?.({ preventScroll: true });
  return done;
}

/** Tells both, for a moment. */
export function announce(text) {
  const region = document.getElementById('announcer');
  region.textContent = text;
  region.dataset.shown = 'true';
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => {
    delete region.dataset.shown;
    region.textContent = '';
  }, 2200);
}

/** A button that copies what `text` is when it is pressed. */
export function copyButton(label, text) {
  const button = h('button', { class: 'icon-button copy', type: 'button', title: label, 'aria-label': label }, icon('copy'));
  button.addEventListener('click', () => copy(typeof text === 'function' ? text() : text, button));
  return button;
}
