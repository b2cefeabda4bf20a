// What span of time a trend shows: the last so much, moving with the clock, or a fixed piece. Kept in the address, so it can be sent.

export type View = { span: number } | { from: number; to: number }; // ms

export const SPANS: [name: string, ms: number][] = [
  ["5 min", 5 * 60_000],
  ["15 min", 15 * 60_000],
  ["1 h", 3_600_000],
  ["8 h", 8 * 3_600_000],
  ["24 h", 24 * 3_600_000],
  ["7 d", 7 * 24 * 3_600_000],
  ["30 d", 30 * 24 * 3_600_000],
];
const USUAL = 15 * 60_000;
const LEAST = 1000;
const MOST = 10 * 366 * 24 * 3_600_000;

/** The view that an address asks for. */
export function readView(query: Record<string, string>): View {
  const from = Number(query.from);
  const to = Number(query.to);
  if (query.from && query.to && Number.isFinite(from) && to - from >= LEAST) return { from, to };
  const span = Number(query.span);
  return { span: span >= LEAST && span <= MOST ? span : USUAL };
}

/** The view as an address writes it. */
export function writeView(view: View): Record<string, number> {
  return "span" in view ? { span: view.span } : { from: Math.round(view.from), to: Math.round(view.to) };
}

/** Its two ends, when the clock says `now`. */
export function ends(view: View, now: number): { from: number; to: number } {
  return "span" in view ? { from: now - view.span, to: now } : view;
}

/** Moved by a part of its width (negative: into the past). What reaches the present follows the clock again. */
export function pan(view: View, part: number, now: number): View {
  const { from, to } = ends(view, now);
  const step = (to - from) * part;
  return to + step >= now ? { span: to - from } : { from: from + step, to: to + step };
}

/** Made wider (factor > 1) or narrower about a point, 0 = left edge, 1 = right edge. */
export function zoom(view: View, factor: number, now: number, about = "span" in view ? 1 : 0.5): View {
  const { from, to } = ends(view, now);
  const width = Math.min(MOST, Math.max(LEAST, (to - from) * factor));
  const start = from + (to - from - width) * about;
  return start + width >= now - 1 ? { span: width } : { from: start, to: start + width };
}
