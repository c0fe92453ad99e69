// The page: finds its token, and shows the overview or a task, as the address says.
//
// Hooks for tests (stable):
//   #connection[data-state=connecting|catching-up|live|away|gone|reconnecting|refused|ended]  the badge
//   [data-test=signin] sign-in page; [data-test=failure] a view that could not be shown
//   [data-test=running] [data-test=waiting] [data-test=recent] [data-test=projects] [data-test=tasks]  overview lists; items
//     carry data-invocation + data-project, data-project, or data-task; [data-field=elapsed|activity|tokens|cost]
//     an item's buttons are [data-action=send|stop|retry], shown where .overview[data-control]; .card[data-needs] needs somebody,
//     .ended-item[data-unresolved] failed and was not tried again
//   [data-test=overview-more] how far was looked for what failed, [data-test=overview-further] its button
//   [data-test=overview-filter] text, [data-chip=running|waiting|needs|failed][aria-pressed], [data-test=overview-count],
//     [data-test=overview-none] nothing matches
//   [data-test=task] task view (data-task, data-invocation); [data-test=status][data-status]; [data-test=facts]
//   [data-test=waits] what it waits for, where the screen is narrow
//   [data-test=asked] what it was asked, to be opened
//   [data-test=missing] says that the invocation of the address is none of the task, or its event is not there any more
//   [data-test=invocations] [data-invocation] picker; [data-test=axis] canvas (data-from, data-to: shown span)
//   [data-test=axis-tip]; [data-test=stop] [data-test=start] [data-test=retry] control; #dialog the open dialog
//   [data-test=activity] the list (role=feed, aria-busy while read); rows .row[data-index][data-type][data-cursor]
//     [data-state=running|ok|failed|unknown] (tools) [data-open] [aria-current=true] (linked), .row-placeholder
//   [data-test=filter] text; [data-chip=tools|text|thinking|plan|notices|usage|failed][aria-pressed]; [data-test=count]
//   [data-test=new-lines][data-unseen] the "N new" button; [data-test=panel-note] empty and error states
//   [data-action=toggle|link|copy] controls within rows
//   [data-test=usage] usage view; [data-test=usage-sums|usage-days|usage-shares|usage-note|usage-said]; bars
//     [data-day=YYYY-MM-DD], shares li[data-name]; [data-test=to-usage] the overview's link there

import { openHelp } from './help.js';
import { route } from './router.js';
import { begin, onFound, onLost } from './session.js';
import { showSignIn } from './sign-in.js';
import { startTheme } from './theme.js';
import { Overview } from './overview.js';
import { startOverview } from './overview-feed.js';
import { TaskView } from './task.js';
import { UsageView } from './usage.js';

const view = document.getElementById('view');
/** @type {{close: () => void, focusFilter?: () => void, place?: any, key?: (event: KeyboardEvent) => void} | null} */
let shown = null;

function show(address, place) {
  if (address.view === 'overview' && shown instanceof Overview) {
    view.scrollTop = 0;
    shown.goTo(address, place);
    return;
  }
  shown?.close();
  view.replaceChildren();
  view.scrollTop = 0;
  const View = { task: TaskView, usage: UsageView, overview: Overview }[address.view];
  shown = new View(view, address, place);
}

function signIn(reason) {
  shown?.close();
  shown = null;
  showSignIn(view, reason);
  onFound(comeBack);
}

/** The address still says what was shown. */
function comeBack() {
  location.reload();
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest('input, textarea, select, dialog')) return;
  const acts = {
    '?': () => openHelp(document.getElementById('dialog')),
    '/': () => shown?.focusFilter?.(),
    g: () => document.querySelector('.brand').click(),
  };
  if (!acts[event.key]) {
    // Nothing is focused: the page's one list is meant.
    if (event.target === document.body) shown?.key?.(event);
    return;
  }
  event.preventDefault();
  acts[event.key]();
}

startTheme(document.getElementById('theme'));
document.getElementById('help').addEventListener('click', () => openHelp(document.getElementById('dialog')));
document.addEventListener('keydown', keys);
onLost(() => signIn('lost'));

const session = await begin();
if (session.ok) {
  startOverview();
  route(show, () => shown?.place ?? null);
} else {
  signIn(session.reason);
}
// A code that is pasted into the address of an open page is a navigation within it.
addEventListener('hashchange', () => location.hash.startsWith('#code=') && location.reload());
