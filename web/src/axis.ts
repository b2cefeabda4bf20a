// The time axis: what piece of time is in sight, where its marks are, and how fine a person can put something on it.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY];
const LEAST = 10 * MINUTE;

export interface Span {
  from: number; // ms
  to: number;
}

export interface Tick {
  at: number;
  text: string;
  day: boolean; // it begins a day
}

const two = (n: number) => String(n).padStart(2, "0");

/** Marks at least so many ms apart, at full hours or days of the local clock. */
export function ticks({ from, to }: Span, apart: number): Tick[] {
  const step = STEPS.find((one) => one >= apart) ?? 28 * DAY;
  const found: Tick[] = [];
  const midnight = new Date(from);
  midnight.setHours(0, 0, 0, 0);
  // Day by day, so that a change to summer time moves no mark off its hour.
  for (let begin = midnight; begin.getTime() <= to && found.length < 400; begin = later(begin, Math.max(1, Math.round(step / DAY)))) {
    const end = later(begin, 1).getTime();
    for (let at = begin.getTime(); at < end; at += Math.min(step, DAY)) {
      if (at < from || at > to) continue;
      const time = new Date(at);
      const day = at === begin.getTime();
      found.push({ at, day, text: day ? `${two(time.getMonth() + 1)}-${two(time.getDate())}` : `${two(time.getHours())}:${two(time.getMinutes())}` });
      if (step >= DAY) break;
    }
  }
  return found;
}

function later(date: Date, days: number): Date {
  const after = new Date(date);
  after.setDate(after.getDate() + days);
  return after;
}

/** The step on which a dragged bar comes to rest, when so many ms are a pixel: nothing finer can be aimed at. */
export function snap(perPixel: number): number {
  return STEPS.slice(0, 6).find((step) => step >= 3 * perPixel) ?? HOUR;
}

/** Wider (factor > 1) or narrower about a point (0: left edge, 1: right edge), within ten minutes and three times the whole. */
export function zoom(span: Span, factor: number, about: number, whole: Span): Span {
  const width = Math.min(3 * (whole.to - whole.from), Math.max(LEAST, (span.to - span.from) * factor));
  return within({ from: span.from + (span.to - span.from - width) * about, to: span.from + (span.to - span.from - width) * about + width }, whole);
}

/** Moved by a part of its width. */
export function pan(span: Span, part: number, whole: Span): Span {
  const by = (span.to - span.from) * part;
  return within({ from: span.from + by, to: span.to + by }, whole);
}

/** A piece of the plan always stays in sight. */
function within(span: Span, whole: Span): Span {
  const width = span.to - span.from;
  const from = Math.min(Math.max(span.from, whole.from - 0.8 * width), whole.to - 0.2 * width);
  return { from, to: from + width };
}
