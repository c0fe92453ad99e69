// The overview: what runs now, what ended lately and how, projects, and the tasks of one of them; and of all that what
// somebody looks for, as the address says. Drawn once for all that is told at once.

import { clean } from './clean.js';
import { announce } from './clipboard.js';
import { confirmStop, control, openRetry, openSend } from './control.js';
import { h, set, setText } from './dom.js';
import * as format from './format.js';
import { arrange, keepingFocus, KeyedList } from './keyed-list.js';
import { endedCard, runningCard, updateRunning } from './overview-cards.js';
import { failed } from './overview-failed.js';
import { isOf, matching, OverviewFilter } from './overview-filter.js';
import { onOverview, overview } from './overview-feed.js';
import { Holds } from './overview-holds.js';
import { keyOf } from './overview-model.js';
import { More } from './overview-more.js';
import { Tasks } from './overview-tasks.js';
import { placeIn, WayBack } from './place.js';
import { overviewHref, rename, step, usageHref } from './router.js';
import { isOver } from './story.js';
import { isTroubled, needsPerson } from './waits.js';

export class Overview {
  /** Of which the tasks are listed; null: the first. */
  #project;
  #stop;
  #ticker;
  #closed = new AbortController();
  /** What runs and waits, as it is shown. @type {Map<string, HTMLElement>} */
  #cards = new Map();
  /** Those of which something new was told. @type {Set<string>} */
  #changed = new Set();
  #isDue = false;
  /** Who needed somebody when it was drawn. */
  #needing = '';
  #view;
  /** Of who has come back, to where they were. @type {WayBack | undefined} */
  #back;
  /** Where somebody was before they began to type. @type {import('./place.js').Place | undefined} */
  #before;

  /** @param {HTMLElement} view @param {import('./router.js').Address} address @param {import('./place.js').Place} [place] where somebody was in it */
  constructor(view, address, place) {
    const { signal } = this.#closed;
    this.#view = view;
    set(document.getElementById('crumbs'));
    const list = (name, hook) => h('ul', { class: name, data: { test: hook } });
    this.filter = new OverviewFilter((choice, how) => this.#choose(how));
    this.holds = new Holds();
    this.tasks = new Tasks(signal, () => this.#back?.go());
    this.running = list('cards', 'running');
    this.waiting = list('cards', 'waiting');
    this.recent = list('ended', 'recent');
    this.ended = new KeyedList(this.recent, endedCard);
    this.projects = list('projects', 'projects');
    this.runningTitle = h('h2', {}, 'Running now');
    this.waitingTitle = h('h2', { class: 'waiting-title', hidden: true });
    this.noneRuns = h('div', { class: 'empty', hidden: true }, h('p', {}, 'Nothing runs.'),
      h('p', { class: 'dim' }, 'Start one with ', h('code', {}, 'steroidsctl start --task T'), '; it appears here at once.'));
    this.noneMatches = h('div', { class: 'empty', hidden: true, data: { test: 'overview-none' } }, h('p', {}, 'Nothing of what runs, waits or ended lately matches.'),
      h('button', { type: 'button', class: 'button small', on: { click: () => this.filter.clear() } }, 'Clear the filter'));
    this.recentTitle = h('h2', {});
    this.more = new More(view, signal);
    this.noneEnded = h('p', { class: 'empty dim', hidden: true }, 'Nothing has ended yet.');
    this.root = h('div', { class: 'overview', on: { click: (event) => this.#act(event) } },
      h('h1', { class: 'visually-hidden' }, 'Overview'),
      this.filter.element,
      h('div', { class: 'area-runs' },
        h('section', { class: 'area-running', 'aria-label': 'Running now' },
          this.runningTitle, this.holds.element, this.running, this.noneRuns, this.waitingTitle, this.waiting, this.noneMatches),
        h('section', { class: 'area-recent', 'aria-label': 'Ended lately' }, this.recentTitle, this.recent, this.noneEnded, this.more.element)),
      h('section', { class: 'area-projects', 'aria-label': 'Projects' }, h('h2', {}, 'Projects'), this.projects,
        h('a', { class: 'to-usage', href: usageHref(), data: { route: '', test: 'to-usage' } }, 'What was used: tokens and money'), this.tasks.element));
    set(view, this.root);
    failed.changed = (isAnswered) => {
      this.#soon();
      this.more.read(isAnswered);
    };
    this.#stop = onOverview((event) => this.#take(event));
    this.#ticker = setInterval(() => this.#tick(), 1000);
    this.#put(address, place);
    if (overview.known) this.#begin();
  }

  /** Where somebody is in it. */
  get place() {
    return placeIn(this.#view);
  }

  close() {
    this.#stop();
    clearInterval(this.#ticker);
    this.filter.close();
    failed.changed = () => {};
    this.#back?.end();
    this.#closed.abort();
  }

  focusFilter() {
    this.filter.focus();
  }

  /** Shows what another address of the overview says. */
  goTo(address, place) {
    this.#put(address, place);
    if (overview.known) this.#drawAll();
  }

  #put({ project, q, show }, place) {
    this.#project = project;
    this.#back?.end();
    this.#back = place && new WayBack(this.#view, place, () => !failed.isReading && this.tasks.isRead);
    this.#before = undefined;
    this.filter.put({ text: q, show });
  }

  #begin() {
    control().then((allowed) => this.root.toggleAttribute('data-control', allowed));
    this.tasks.forget();
    failed.look();
    this.#drawAll();
  }

  #take(event) {
    if (event.type === 'snapshot') {
      this.#begin();
    } else if (event.type === 'projects') {
      this.#drawProjects();
    } else if (event.type === 'holds') {
      this.holds.draw(overview.holds);
    } else if (event.type === 'invocation') {
      this.#news(event.invocation);
    }
  }

  #news(it) {
    const key = keyOf(it);
    const card = this.#cards.get(key);
    this.#changed.add(key);
    this.#soon();
    // From one list to the other it goes with all.
    if (card && card.dataset.status === it.status) return;
    this.tasks.changed(it.project);
    if ((isOver(it) && it.status !== 'completed') || it.retryOf) failed.look();
  }

  /** Draws what has changed, once for all that is told in one go. */
  #soon() {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      if (this.#closed.signal.aborted || !overview.known) return;
      this.#draw();
      this.#back?.go();
    });
  }

  #choose(how) {
    const { text, show } = this.filter.choice;
    this.#back?.end();
    // What is typed is shown before it is in the address.
    if (how === 'later') this.#before ??= this.place;
    const href = overviewHref({ project: this.#project, q: text, show });
    // Typed and cleared again before it was written, it is where it was.
    const isThere = href === `${location.pathname}${location.search}`;
    const steps = how === 'step' && !isThere;
    if (steps) step(href, this.#before);
    else if (how === 'rename') rename(href);
    if (how !== 'later') this.#before = undefined;
    this.#drawAll();
    return steps || how === 'rename';
  }

  #drawAll() {
    const { text } = this.filter.choice;
    failed.narrow(text, matching(text).run);
    this.#draw();
    this.#drawProjects();
    this.#back?.go();
  }

  #draw() {
    const { text, show } = this.filter.choice;
    const now = Date.now();
    this.holds.draw(overview.holds, now);
    const isOfFailed = show === 'failed';
    const ended = this.#ended(isOfFailed);
    const runs = [...overview.running].concat([...ended]);
    const { run } = matching(text);
    const found = runs.filter(([, it]) => run(it));
    const shown = found.filter(([, it]) => isOf(show, it, now));
    const count = (kind) => found.filter(([, it]) => isOf(kind, it, now)).length;
    const counts = { running: count('running'), waiting: count('waiting'), needs: count('needs'), failed: count('failed') };
    this.filter.count(counts, failed.isMore(isOfFailed), shown.length, runs.length);
    this.#drawCards(shown.filter(([, it]) => !isOver(it)), now);
    this.ended.draw(shown.filter(([, it]) => isOver(it)));
    const { isOn } = this.filter;
    setText(this.recentTitle, isOfFailed ? 'Failed, not tried again' : 'Ended lately');
    this.more.draw(isOfFailed);
    this.recent.hidden = !this.recent.children.length;
    this.noneEnded.hidden = isOn || !this.recent.hidden;
    this.noneMatches.hidden = !isOn || shown.length > 0 || (isOfFailed && failed.isMore());
    // Of one alone nobody asks which.
    const projects = new Set([...overview.projects.map((it) => it.path), ...runs.map(([, it]) => it.project)]);
    this.root.toggleAttribute('data-projects', projects.size > 1);
    const needing = this.#whoNeeds(now);
    this.#needing = needing.join('\n');
    document.title = needing.length ? `(${needing.length}) steroids` : 'steroids';
  }

  /** What ended, newest first: what was told of it is newer than what was asked for. */
  #ended(isOfFailed = true) {
    const all = new Map([...failed.list(isOfFailed), ...overview.recent].map((it) => [keyOf(it), it]));
    for (const key of overview.running.keys()) all.delete(key);
    return new Map([...all].sort(([, a], [, b]) => (b.completedAtMs ?? 0) - (a.completedAtMs ?? 0)));
  }

  #drawCards(shown, now) {
    const cards = new Map();
    for (const [key, it] of overview.running) {
      const known = this.#cards.get(key);
      const card = known ?? runningCard(it);
      if (!known || this.#changed.has(key)) updateRunning(card, it, now);
      cards.set(key, card);
    }
    this.#cards = cards;
    this.#changed.clear();
    const of = (entries) => entries.map(([key]) => cards.get(key));
    const needs = ([, it]) => needsPerson(it.live, now);
    const going = shown.filter(([, it]) => it.status === 'running');
    // Who needs somebody stands first, then what is in trouble.
    const rank = (one) => (needs(one) ? 0 : isTroubled(one[1]) ? 1 : 2);
    const running = of([0, 1, 2].flatMap((wanted) => going.filter((one) => rank(one) === wanted)));
    const waiting = of(shown.filter(([, it]) => it.status === 'queued'));
    const { isOn } = this.filter;
    setText(this.runningTitle, running.length ? `Running now · ${running.length}` : 'Running now');
    setText(this.waitingTitle, `Waiting · ${waiting.length}`);
    this.runningTitle.hidden = isOn && !running.length;
    this.running.hidden = !running.length;
    this.noneRuns.hidden = isOn || running.length > 0;
    this.noneRuns.lastElementChild.hidden = waiting.length > 0;
    this.waitingTitle.hidden = this.waiting.hidden = !waiting.length;
    keepingFocus(() => {
      arrange(this.running, running);
      arrange(this.waiting, waiting);
    });
  }

  #whoNeeds(now) {
    return [...overview.running].filter(([, it]) => isOf('needs', it, now)).map(([key]) => key);
  }

  #drawProjects() {
    const { projects } = overview;
    const isThere = projects.some((it) => it.path === this.#project);
    const chosen = isThere ? this.#project : projects[0]?.path;
    keepingFocus(() => set(this.projects, projects.length
      ? projects.map((project) => this.#projectItem(project, project.path === chosen))
      : h('li', { class: 'empty dim' }, 'None yet. ', h('code', {}, 'steroidsctl init'), ' makes a folder one.')));
    const { text } = this.filter.choice;
    if (text) this.tasks.show(projects.map((it) => it.path), matching(text).task);
    else this.tasks.show(chosen ? [chosen] : [], null);
  }

  #projectItem(project, chosen) {
    const { text: q, show } = this.filter.choice;
    // One whose folder is gone has no rows to count.
    const running = project.running || [...overview.running.values()].filter((it) => it.project === project.path && it.status === 'running').length;
    return h('li', {},
      h('a', { class: 'project', href: overviewHref({ project: project.path, q, show }), data: { project: project.path }, 'aria-current': chosen ? 'true' : null, title: project.path, on: { click: (event) => this.#pick(event, project.path) } },
        h('span', { class: 'project-name' }, clean(format.baseName(project.path))),
        h('bdi', { class: 'project-path mono dim' }, clean(project.path)),
        running ? h('span', { class: 'count-running' }, `${running} running`) : null,
        project.state !== 'ready' ? h('span', { class: 'project-state tone-warn' }, clean(project.reason || format.outcomeText(project.state))) : null));
  }

  #pick(event, path) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    this.#project = path;
    const { text: q, show } = this.filter.choice;
    rename(overviewHref({ project: path, q, show }));
    this.#drawProjects();
    this.projects.querySelector('[aria-current]')?.focus();
  }

  /** What a button of an item is for. */
  #act(event) {
    const button = event.target.closest('[data-action]');
    if (!button) return;
    const { invocation, project } = button.closest('[data-invocation]').dataset;
    const key = keyOf({ project, id: invocation });
    const it = overview.running.get(key) ?? this.#ended().get(key);
    if (!it) return;
    const again = (next) => announce(`Invocation ${it.id} is tried again as ${next}`);
    ({ stop: confirmStop, send: openSend, retry: openRetry })[button.dataset.action](it, project, again);
  }

  #tick() {
    const now = Date.now();
    this.holds.draw(overview.holds, now);
    // Of what waits nothing ticks.
    for (const element of this.running.children) {
      const it = overview.running.get(keyOf({ project: element.dataset.project, id: element.dataset.invocation }));
      if (it) updateRunning(element, it, now);
    }
    for (const element of this.recent.querySelectorAll('[data-since]')) {
      setText(element, format.age(now - Number(element.dataset.since)));
    }
    // Half a line becomes a question by standing there.
    if (this.#whoNeeds(now).join('\n') !== this.#needing) this.#soon();
  }
}
