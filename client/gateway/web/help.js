// The dialog that lists the keys.

import { AXIS_KEYS } from './axis-keys.js';
import { h } from './dom.js';
import { PANEL_KEYS } from './panel-keys.js';

const EVERYWHERE = [
  ['?', 'this list'],
  ['g', 'overview'],
];

const OVERVIEW_KEYS = [
  ['/', 'filter'],
  ['Esc', 'clear the filter, from within it'],
];

/** @param {HTMLDialogElement} dialog */
export function openHelp(dialog) {
  dialog.replaceChildren(
    h('h2', {}, 'Keys'),
    table('Everywhere', EVERYWHERE),
    table('Overview', OVERVIEW_KEYS),
    table('Activity', PANEL_KEYS),
    table('Time axis', AXIS_KEYS),
    h('form', { method: 'dialog' }, h('button', { class: 'button', autofocus: true }, 'Close')));
  dialog.showModal();
}

function table(title, keys) {
  return h('section', { class: 'keys' }, h('h3', {}, title),
    h('dl', {}, keys.map(([key, does]) => h('div', {}, h('dt', {}, h('kbd', {}, key)), h('dd', {}, does)))));
}
