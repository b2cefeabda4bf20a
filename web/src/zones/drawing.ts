// Changing polygons: every function gives a new one.
import type { Corner, Zone } from "./types";

const inside = (v: number) => Math.min(1, Math.max(0, v));
const round = (v: number) => Math.round(v * 10_000) / 10_000;

/** With one corner elsewhere, within the picture. */
export function moved(polygon: Corner[], k: number, [x, y]: Corner): Corner[] {
  return polygon.map((corner, i) => (i === k ? [round(inside(x)), round(inside(y))] : corner));
}

/** As a whole moved by so much, as far as the picture reaches. */
export function shifted(polygon: Corner[], dx: number, dy: number): Corner[] {
  const xs = polygon.map(([x]) => x);
  const ys = polygon.map(([, y]) => y);
  const bound = (d: number, all: number[]) => Math.min(1 - Math.max(...all), Math.max(-Math.min(...all), d));
  const [bx, by] = [bound(dx, xs), bound(dy, ys)];
  return polygon.map(([x, y]) => [round(x + bx), round(y + by)]);
}

/** The middle of the side that follows corner k. */
export function middle(polygon: Corner[], k: number): Corner {
  const [a, b] = [polygon[k]!, polygon[(k + 1) % polygon.length]!];
  return [round((a[0] + b[0]) / 2), round((a[1] + b[1]) / 2)];
}

/** With a corner more, in the middle of the side that follows corner k. */
export function split(polygon: Corner[], k: number): Corner[] {
  return [...polygon.slice(0, k + 1), middle(polygon, k), ...polygon.slice(k + 1)];
}

/** Without corner k. A zone keeps three. */
export function without(polygon: Corner[], k: number): Corner[] {
  return polygon.length > 3 ? polygon.filter((_, i) => i !== k) : polygon;
}

/** A new zone in the middle of the picture, under a name that is free. */
export function fresh(name: string, taken: string[]): Zone {
  let free = name;
  for (let n = 2; taken.includes(free); n++) free = `${name} ${n}`;
  return { name: free, polygon: [[0.35, 0.4], [0.65, 0.4], [0.65, 0.75], [0.35, 0.75]], active_while: "", rule: "feet", share: 0.1, dwell: "0s", release: "1s" };
}
