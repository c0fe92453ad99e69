// Stop, Start and Send, where the gateway allows control; each asks before it does anything.

import { ApiError, get, invocationUrl, post, taskUrl } from './api.js';
import { clean } from './clean.js';
import { announce } from './clipboard.js';
import { h, set } from './dom.js';
import { baseName } from './format.js';
import { onOverview } from './overview-feed.js';
import { go, taskHref } from './router.js';

/** @type {Promise<any> | null} */
let status = null;

// The daemon that tells all anew may be another one, or one that was away.
onOverview((event) => {
  if (event.type === 'snapshot') status = null;
});

/** The gateway's status. One without the daemon's part is asked for again by the next who wants it. */
function known() {
  if (status) return status;
  const asked = get('/api/status').catch(() => ({}));
  status = asked;
  asked.then(({ daemon }) => {
    if (daemon !== 'live' && status === asked) status = null;
  });
  return asked;
}

/** @returns {Promise<boolean>} whether the gateway allows control */
export async function control() {
  return (await known()).control === true;
}

/** @returns {Promise<Set<string>>} providers that are plain programs, which print lines and no prose */
export async function plainProviders() {
  const { providers = [] } = await known();
  return new Set(['command', ...providers.filter((it) => it.kind === 'command').map((it) => it.name)]);
}

/** What a stop is answered with whose agent has ended, though not all of that could be written down. */
const HAS_ENDED = ['PROJECT_GONE', 'NOT_RECORDED_YET'];

/** Asks whether to stop an invocation, and does. */
export function confirmStop(invocation, project) {
  const { id, taskId, role } = invocation;
  dialog({
    title: `Stop invocation ${id}?`,
    body: [
      h('p', {}, 'The ', h('strong', {}, clean(role)), ' of ', h('strong', {}, clean(taskId)), ' in ', h('strong', {}, clean(baseName(project))), ' is asked to end; after the grace time its processes are killed.',
        invocation.alarm ? '' : ' What it did so far is kept.'),
      invocation.alarm && h('p', { class: 'tone-warn' }, clean(invocation.alarm)),
    ],
    act: 'Stop it',
    danger: true,
    isDone: (error) => HAS_ENDED.includes(error.reason),
    run: async () => {
      const { invocation: last } = await post(invocationUrl(taskId, id, '/stop', { project }), {});
      announce(`Invocation ${last?.id ?? id} is stopped`);
    },
  });
}

/** What has ended badly, of which there is no later attempt; who wants a success once more has a terminal. */
export function canRetry(it) {
  const hasEnded = it.status !== 'running' && it.status !== 'queued';
  return hasEnded && it.managed !== false && !it.retriedBy && it.outcome !== 'success';
}

/** What runs or waits, and is no other tool's. */
export function canStop(it) {
  return (it.status === 'running' || it.status === 'queued') && it.managed !== false;
}

/** What takes messages. */
export function canSend(it) {
  return it.status === 'running' && Boolean(it.interactive);
}

/**
 * Asks whether to try again what has ended, and how, and does.
 * @param {(id: number) => void} [then] what to do with the new attempt's id; without it, that is shown
 */
export function openRetry({ id, taskId, role, sessionId, mode, outcome }, project, then = (next) => go(taskHref(taskId, project, next))) {
  // One that ended before it told any goes on with that which it was given.
  const goesOn = (Boolean(sessionId) || mode === 'resume') && outcome !== 'success';
  const anew = h('input', { type: 'checkbox', name: 'anew' });
  const requestId = crypto.randomUUID();
  dialog({
    title: `Try invocation ${id} again?`,
    body: [
      // Names and numbers are of one project each.
      h('p', {}, 'The ', h('strong', {}, clean(role)), ' of ', h('strong', {}, clean(taskId)), ' in ', h('strong', {}, clean(baseName(project))), ' is asked for the same once more, as its next attempt.'),
      goesOn && h('label', { class: 'check' }, anew, 'Begin anew, not with the session it had'),
    ],
    act: 'Try it again',
    run: async () => {
      const started = await post(invocationUrl(taskId, id, '/retry', { project }), { anew: anew.checked, requestId });
      then(started.invocationId);
    },
  });
}

/** Asks what to start, and does; fields begin as the task's last agent had them. */
export async function openStart({ task, project, like }) {
  const { providers = [] } = await known();
  // A plain program wants a command line, and that is for whoever has a terminal.
  const agents = providers.filter((it) => it.kind !== 'command').map((it) => it.name);
  const { provider, model } = agents.includes(like?.provider) ? like : {};
  const field = (label, input) => h('label', { class: 'field' }, label, input);
  const text = (name, value) => h('input', { name, value, autocomplete: 'off', spellcheck: 'false' });
  const form = h('div', { class: 'fields' },
    field('Prompt', h('textarea', { name: 'prompt', rows: 7, spellcheck: 'true' })),
    h('div', { class: 'fields-row' },
      field('Role', text('role', like?.role ?? 'coder')),
      field('Provider', h('select', { name: 'provider' }, agents.map((name) => h('option', { value: name, selected: name === (provider ?? 'claude') }, clean(name))))),
      field('Model', text('model', model ?? ''))),
    h('p', { class: 'dim' }, 'A model left empty is the provider’s default.'),
    h('label', { class: 'check' }, h('input', { type: 'checkbox', name: 'interactive' }), 'Keep it open for messages'));
  // The same id never starts, and pays, twice, however often it is sent.
  const requestId = crypto.randomUUID();
  dialog({
    title: `Start an agent on ${clean(task)}`,
    body: [form],
    act: 'Start it',
    run: async () => {
      const value = (name) => form.querySelector(`[name=${name}]`).value.trim() || undefined;
      const prompt = value('prompt');
      if (!prompt) throw new ApiError(400, { error: 'An agent needs a prompt.' });
      const started = await post(taskUrl(task, '/invocations', { project }), { prompt, role: value('role'), provider: value('provider'), model: value('model'), interactive: form.querySelector('[name=interactive]').checked, requestId });
      go(taskHref(task, project, started.invocationId));
    },
  });
}

/** Asks what to send to an agent that takes messages, and sends it. */
export async function openSend({ id, taskId, role }, project) {
  const text = h('textarea', { name: 'text', rows: 5, spellcheck: 'true' });
  const end = h('input', { type: 'checkbox', name: 'end' });
  // The same id is never delivered twice, however often it is sent.
  const messageId = crypto.randomUUID();
  dialog({
    title: `Send to invocation ${id}`,
    body: [
      h('div', { class: 'fields' },
        h('label', { class: 'field' }, h('span', {}, 'To the ', h('strong', {}, clean(role)), ' of ', h('strong', {}, clean(taskId))), text),
        h('label', { class: 'check' }, end, 'Nothing more comes: it ends when it is done')),
    ],
    act: 'Send it',
    run: async () => {
      const message = text.value.trim();
      if (!message && !end.checked) throw new ApiError(400, { error: 'There is nothing to send.' });
      await post(invocationUrl(taskId, id, '/input', { project }), { text: message, end: end.checked, messageId });
      announce(`Sent to invocation ${id}`);
    },
  });
}

// What the dialog asks now: an answer to what it asked before must not close it.
let asked = null;

/** `isDone` tells of an error that there is nothing left to do. */
function dialog({ title, body, act, danger = false, isDone = () => false, run }) {
  const element = /** @type {HTMLDialogElement} */ (document.getElementById('dialog'));
  const question = {};
  asked = question;
  const problem = h('div', { class: 'tone-bad', role: 'alert', data: { test: 'problem' } });
  const yes = h('button', { type: 'button', class: `button primary ${danger ? 'danger' : ''}`, data: { test: 'confirm' } }, act);
  const no = h('button', { type: 'button', class: 'button', autofocus: danger, on: { click: () => element.close() } }, 'Cancel');
  yes.addEventListener('click', async () => {
    yes.disabled = true;
    yes.setAttribute('aria-busy', 'true');
    set(problem);
    try {
      await run();
      if (asked === question) element.close();
    } catch (error) {
      set(problem, h('p', {}, error.message), error.hint ? h('p', { class: 'dim' }, error.hint) : null);
      yes.removeAttribute('aria-busy');
      yes.hidden = isDone(error);
      if (yes.hidden) no.textContent = 'Close';
      else yes.disabled = false;
    }
  });
  set(element, h('h2', {}, title), body, problem, h('div', { class: 'dialog-actions' }, no, yes));
  // What it was opened from may be gone by then, and the focus with it.
  element.addEventListener('close', () => {
    if (document.activeElement === document.body) document.getElementById('view').focus({ preventScroll: true });
  }, { once: true });
  if (!element.open) element.showModal();
}
