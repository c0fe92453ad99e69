// Paints the story on a canvas: a bar per invocation, in it how many tools were called when, what
// failed and what was tried again. Nothing here knows the pointer or the keyboard.

export const TOP = 20;
export const LANE = 30;
const BAR = 24;
const MOST_LANES = 5;

/**
 * In which lane each invocation stands: those that overlap are below one another.
 * @returns {{lanes: Map<number, number>, count: number}}
 */
export function lanesOf(invocations, now) {
  const ends = [];
  const lanes = new Map();
  for (const it of invocations) {
    const start = it.startedAtMs ?? now;
    let lane = ends.findIndex((end) => end <= start);
    if (lane < 0) lane = ends.length < MOST_LANES ? ends.length : MOST_LANES - 1;
    ends[lane] = Math.max(ends[lane] ?? 0, endOf(it, now));
    lanes.set(it.id, lane);
  }
  return { lanes, count: Math.max(1, ends.length) };
}

export function endOf(invocation, now) {
  return invocation.completedAtMs ?? (invocation.status === 'running' ? now : invocation.startedAtMs ?? now);
}

/** Colours of the page, as a canvas needs them. */
export function colours() {
  // A property holds the colours of both themes; only a colour in use is one of them.
  const probe = document.createElement('i');
  document.body.append(probe);
  const style = getComputedStyle(probe);
  const of = (name) => {
    probe.style.color = `var(${name})`;
    return style.color;
  };
  const all = {
    text: of('--text-dim'), faint: of('--line'), bar: of('--bar'), accent: of('--accent'), good: of('--good'),
    bad: of('--bad'), warn: of('--warn'), tool: of('--mark'),
  };
  probe.remove();
  return all;
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {{story: import('./story.js').Story, scale: import('./axis-scale.js').Scale, lanes: Map<number, number>,
 *   height: number, now: number, selected: number, mark: {id: number, ts: number} | null, colours: ReturnType<typeof colours>}} it
 */
export function paint(ctx, it) {
  const { scale, height } = it;
  ctx.clearRect(0, 0, scale.width, height);
  paintTicks(ctx, it);
  for (const invocation of it.story.invocations) {
    if (invocation.startedAtMs !== undefined) paintInvocation(ctx, it, invocation);
  }
}

function paintTicks(ctx, { scale, height, colours: c }) {
  ctx.font = '11px system-ui, sans-serif';
  ctx.textBaseline = 'top';
  for (const { x, label, strong } of scale.ticks()) {
    const at = Math.round(x) + 0.5;
    ctx.strokeStyle = c.faint;
    ctx.beginPath();
    ctx.moveTo(at, strong ? 0 : TOP - 4);
    ctx.lineTo(at, height);
    ctx.stroke();
    ctx.fillStyle = c.text;
    const width = ctx.measureText(label).width;
    ctx.fillText(label, Math.min(Math.max(2, at - width / 2), scale.width - width - 2), 2);
  }
}

function paintInvocation(ctx, it, invocation) {
  const { scale, colours: c } = it;
  const from = scale.x(invocation.startedAtMs);
  const to = Math.max(from + 3, scale.x(endOf(invocation, it.now)));
  if (to < 0 || from > scale.width) return;
  const y = TOP + it.lanes.get(invocation.id) * LANE + 3;
  const left = Math.max(-4, from);
  const right = Math.min(scale.width + 4, to);
  const tone = { running: c.accent, completed: c.good, failed: c.bad, timeout: c.warn }[invocation.status] ?? c.text;
  const selected = invocation.id === it.selected;
  ctx.save();
  ctx.beginPath();
  ctx.roundRect(left, y, right - left, BAR, 4);
  ctx.fillStyle = c.bar;
  ctx.fill();
  ctx.clip();
  const marks = it.story.marks.get(invocation.id);
  if (marks) {
    paintDensity(ctx, scale, marks.tool, y, c.tool, selected ? 0.95 : 0.6);
    paintNeedles(ctx, scale, marks.retry, y, true, c.warn);
    paintNeedles(ctx, scale, marks.failed, y + BAR - 3, false, c.bad);
  }
  ctx.fillStyle = tone;
  ctx.fillRect(left, y + BAR - 3, right - left, 3);
  ctx.restore();
  if (selected) {
    ctx.strokeStyle = c.accent;
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.roundRect(left - 1, y - 1, right - left + 2, BAR + 2, 5);
    ctx.stroke();
    ctx.lineWidth = 1;
  }
  if (it.mark?.id === invocation.id) {
    ctx.fillStyle = c.accent;
    ctx.fillRect(Math.round(scale.x(it.mark.ts)) - 1, y - 2, 3, BAR + 4);
  }
}

/** How many lines fell on each pixel, as columns. A place stands for all lines up to the next. */
function paintDensity(ctx, scale, marks, y, colour, alpha) {
  const columns = new Float32Array(Math.ceil(scale.width) + 1);
  const { places, stride } = marks;
  let most = 1;
  const add = (x, value) => {
    if (x < 0 || x >= columns.length) return;
    columns[x] += value;
    most = Math.max(most, columns[x]);
  };
  for (let i = 0; i < places.length; i += 1) {
    const from = Math.round(scale.x(places[i][1]));
    const to = stride > 1 && i + 1 < places.length ? Math.max(from, Math.round(scale.x(places[i + 1][1])) - 1) : from;
    if (to < 0 || from > scale.width) continue;
    const begin = Math.max(0, from);
    const end = Math.min(columns.length - 1, to);
    for (let x = begin; x <= end; x += 1) add(x, stride / (to - from + 1));
  }
  ctx.fillStyle = colour;
  ctx.globalAlpha = alpha;
  const highest = BAR - 6;
  for (let x = 0; x < columns.length; x += 1) {
    if (columns[x] === 0) continue;
    const part = most <= 1 ? 0.6 : 0.35 + 0.65 * (Math.log2(1 + columns[x]) / Math.log2(1 + most));
    const height = Math.max(3, highest * part);
    ctx.fillRect(x - 0.5, y + BAR - 3 - height, 1.4, height);
  }
  ctx.globalAlpha = 1;
}

/** Single marks as needles; where they are many, a low strip that is stronger where there are more. */
function paintNeedles(ctx, scale, { places, stride }, edge, down, colour) {
  const columns = new Map();
  for (const [, ts] of places) {
    const x = Math.round(scale.x(ts) / 2) * 2;
    if (x >= 0 && x <= scale.width) columns.set(x, (columns.get(x) ?? 0) + stride);
  }
  if (columns.size === 0) return;
  const xs = [...columns.keys()];
  const crowded = xs.length > 8 && (Math.max(...xs) - Math.min(...xs)) / xs.length < 10;
  const height = crowded ? 5 : 10;
  const most = Math.max(...columns.values());
  ctx.fillStyle = colour;
  for (const [x, count] of columns) {
    ctx.globalAlpha = crowded ? 0.25 + 0.45 * (count / most) : 1;
    ctx.fillRect(x - 1, down ? edge : edge - height, 2, height);
  }
  ctx.globalAlpha = 1;
}
