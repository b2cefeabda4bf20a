// The last minutes of many tags, for the small trends beside values: fetched together, then carried on by the stream.
import { untrack } from "svelte";
import { api } from "./api";
import { live } from "./live.svelte";

export const SPAN = 5 * 60_000; // ms
const POINTS = 90;
const STEP = SPAN / POINTS;
const AT_ONCE = 40;

export type Point = [t: number, v: number | null];

class Spark {
  points = $state.raw<Point[]>([]);

  /** Carries on with a live value: one point a step, the newest always the present one. */
  add(t: number, v: number | null) {
    const kept = this.points.filter((p) => p[0] > t - SPAN);
    const last = kept.at(-1);
    const before = kept.at(-2);
    if (last && t <= last[0]) return;
    // What was reported after a long silence stood still until then: upright, not a slope.
    if (last && last[1] !== null && v !== null && t - last[0] > STEP) kept.push([t - 1, last[1]]);
    if (last && before && last[0] - before[0] < STEP) kept[kept.length - 1] = [t, v];
    else kept.push([t, v]);
    this.points = kept;
  }
}

const known = new Map<string, Spark>();
let queue: string[] = [];
let timer = 0;

/** The spark of a tag; its history comes soon after, and again when nobody looked for a while. */
export function spark(tag: string): Spark {
  const found = known.get(tag) ?? new Spark();
  const missed = untrack(() => (found.points.at(-1)?.[0] ?? live.now) < live.now - 3 * STEP);
  if (!known.has(tag) || missed) {
    known.set(tag, found);
    if (!queue.includes(tag)) queue.push(tag);
    clearTimeout(timer);
    timer = window.setTimeout(() => void fetchQueued(), 80);
  }
  return found;
}

async function fetchQueued() {
  const tags = queue;
  queue = [];
  const now = live.now;
  for (let i = 0; i < tags.length; i += AT_ONCE) {
    const part = tags.slice(i, i + AT_ONCE);
    try {
      const trend = await api.trend(part, now - SPAN, now, POINTS);
      for (const series of trend.series) {
        const kept = known.get(series.tag);
        const past: Point[] = series.t.map((t, k) => [t, series.v[k] ?? null]);
        if (kept) kept.points = [...past, ...kept.points.filter((p) => p[0] > (past.at(-1)?.[0] ?? 0))];
      }
    } catch {
      for (const tag of part) if (!known.get(tag)?.points.length) known.delete(tag); // asked again when next shown
    }
  }
}
