// The head of a task: what it is, how the chosen invocation is doing, and what may be done with it.

import { Asked } from './asked.js';
import { clean, cleanLine } from './clean.js';
import { copyButton } from './clipboard.js';
import { canRetry, canSend, canStop, control, confirmStop, openRetry, openSend, openStart } from './control.js';
import { h, icon, set, setText } from './dom.js';
import * as format from './format.js';
import { limitText, waitText } from './waits.js';

export class TaskHeader {
  #invocation = null;

  /** @param {{task: {title?: string, status?: string}, id: string, project: string}} options */
  constructor({ task, id, project }) {
    this.task = id;
    this.project = project;
    this.status = h('span', { class: 'status', data: { test: 'status' } });
    this.facts = h('dl', { class: 'facts', data: { test: 'facts' } });
    // In the place of the fact, where the screen is narrow: a question is read before all else.
    this.waits = h('p', { class: 'task-waits tone-warn', hidden: true, data: { test: 'waits' } });
    this.problem = h('p', { class: 'task-problem', hidden: true });
    this.stop = h('button', { type: 'button', class: 'button danger', hidden: true, data: { test: 'stop' }, on: { click: () => confirmStop(this.#invocation, project) } }, icon('stop'), 'Stop');
    this.send = h('button', { type: 'button', class: 'button', hidden: true, data: { test: 'send' }, on: { click: () => openSend(this.#invocation, project) } }, icon('send'), 'Send');
    this.retry = h('button', { type: 'button', class: 'button', hidden: true, data: { test: 'retry' }, on: { click: () => openRetry(this.#invocation, project) } }, icon('retry'), 'Try again');
    this.start = h('button', { type: 'button', class: 'button', hidden: true, data: { test: 'start' }, on: { click: () => openStart({ task: id, project, like: this.#invocation }) } }, icon('play'), 'Start');
    this.asked = new Asked(project);
    this.element = h('header', { class: 'task-head' },
      h('div', { class: 'task-name' },
        h('h1', {}, h('bdi', {}, clean(task?.title || id))),
        h('span', { class: 'task-id' }, task?.title && task.title !== id && h('bdi', { class: 'mono dim' }, clean(id)), copyButton('Copy the task’s id', id)),
        this.status,
        h('span', { class: 'task-actions' }, this.#commands(), this.send, this.retry, this.start, this.stop)),
      this.facts, this.waits, this.problem, this.asked.element);
    control().then((allowed) => {
      this.allowed = allowed;
      if (this.#invocation !== undefined) this.draw(this.#invocation);
    });
  }

  /** Shows an invocation; undefined where there is none. */
  draw(invocation) {
    this.#invocation = invocation;
    this.asked.draw(invocation);
    this.start.hidden = !this.allowed;
    this.send.hidden = !this.allowed || !invocation || !canSend(invocation);
    if (!invocation) return;
    const runs = invocation.status === 'running' || invocation.status === 'queued';
    this.retry.hidden = !this.allowed || !canRetry(invocation);
    this.stop.hidden = !this.allowed || !canStop(invocation);
    const status = runs ? invocation.status : invocation.outcome ?? invocation.status;
    this.status.dataset.status = invocation.status;
    setText(this.status, clean(format.outcomeText(status)));
    this.#drawFacts(invocation);
    const waits = invocation.status === 'queued' ? format.localTimes(invocation.waiting) || 'waits to be started' : '';
    const warning = runs ? [invocation.alarm, limitText(invocation.live), waits].filter(Boolean).join(' · ') : '';
    const problem = warning || invocation.error;
    this.problem.hidden = !problem;
    this.problem.className = `task-problem tone-${warning ? 'warn' : 'bad'}`;
    setText(this.problem, cleanLine(problem ?? ''));
  }

  #drawFacts(it) {
    const waits = it.status === 'running' ? waitText(it.live) : '';
    this.waits.hidden = !waits;
    // Of one of which nothing is known it is how long it has been.
    const isQuiet = waits.startsWith('quiet');
    setText(this.waits, isQuiet ? `Q${waits.slice(1)}` : waits && `Waits for ${clean(waits)}`);
    const lasted = it.durationMs ?? (it.completedAtMs ?? Date.now()) - it.startedAtMs;
    const facts = [
      ['Role', it.role],
      ['Agent', [it.provider, format.model(it)].filter(Boolean).join(' ')],
      [it.completedAtMs ? 'Took' : 'Elapsed', it.startedAtMs ? (it.completedAtMs ? format.duration(lasted) : format.elapsed(lasted)) : ''],
      isQuiet ? ['Quiet for', waits.replace(/^quiet for /, '')] : ['Waits for', waits],
      ['Started', it.startedAtMs ? format.moment(it.startedAtMs) : ''],
      ['Asked for', !it.startedAtMs && it.queuedAtMs ? format.moment(it.queuedAtMs) : ''],
      ['After', (it.after ?? []).map((id) => `#${id}`).join(', ')],
      ['Attempt', it.attempt > 1 ? `${it.attempt}, after #${it.retryOf}` : ''],
      ['Retried by', it.retriedBy ? `#${it.retriedBy}` : ''],
      ['Tokens', format.tokenText(it.usage)],
      ['Cost', format.cost(it.usage)],
    ].filter(([, value]) => value);
    // Written in place: what ticks must not rebuild what somebody is selecting.
    if (this.facts.childElementCount !== facts.length) {
      set(this.facts, facts.map(() => h('div', {}, h('dt', {}), h('dd', {}))));
    }
    facts.forEach(([label, value], at) => {
      const [dt, dd] = this.facts.children[at].children;
      dt.parentElement.dataset.fact = label;
      setText(dt, label);
      setText(dd, clean(value));
    });
  }

  /** The terminal's equivalents, to copy. */
  #commands() {
    const project = `--project ${format.shellWord(this.project ?? '.')}`;
    const id = () => this.#invocation?.id ?? 'ID';
    const entries = () => [
      ['Follow in a terminal', `steroidsctl stream ${id()} ${project}`],
      ['Show it', `steroidsctl show ${id()} ${project}`],
      ['Timeline of the task', `steroidsctl timeline --task ${format.shellWord(this.task)} ${project}`],
      ...(this.#invocation?.interactive ? [['Send it a message', `steroidsctl send ${id()} ${project} -`]] : []),
      ['Stop it', `steroidsctl stop ${id()} ${project}`],
      ['Try it again', `steroidsctl retry ${id()} ${project}`],
      ...(this.#invocation?.sessionId ? [['Session id', this.#invocation.sessionId]] : []),
      ...(this.#invocation?.uuid ? [['Invocation uuid', this.#invocation.uuid]] : []),
      ...(this.#invocation?.logPath ? [['Log file', this.#invocation.logPath]] : []),
    ];
    const menu = h('div', { class: 'menu', popover: 'auto', id: 'commands' });
    menu.addEventListener('beforetoggle', () => set(menu, entries().map(([label, text]) =>
      h('div', { class: 'menu-item' }, h('div', { class: 'menu-text' }, h('div', { class: 'dim' }, label), h('code', {}, clean(text))), copyButton(`Copy: ${label}`, text)))));
    const button = h('button', { type: 'button', class: 'button', popovertarget: 'commands', 'aria-label': 'Commands', data: { test: 'commands' } }, icon('copy'), h('span', {}, 'Commands'));
    menu.addEventListener('toggle', () => {
      const { bottom, right } = button.getBoundingClientRect();
      menu.style.top = `${bottom + 6}px`;
      menu.style.left = `${Math.max(8, right - menu.offsetWidth)}px`;
    });
    return [button, menu];
  }
}
