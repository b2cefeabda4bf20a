// Quantities of a fleet as a person reads them.
import { percent, quantity } from "../amounts";

const STEPS: [number, string][] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

function scaled(value: number | null | undefined, of: string): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "—";
  const [size, prefix] = STEPS.find(([size]) => value >= size) ?? [1, ""];
  return `${quantity(Number((value / size).toPrecision(3)))} ${prefix}${of}`;
}

/** 12.3 MB. */
export const bytes = (value: number | null | undefined): string => scaled(value, "B");

/** 94 Mbit/s. */
export const rate = (value: number | null | undefined): string => scaled(value, "bit/s");

/** Milliseconds: 0.4 ms, 12 ms; seconds from 10 on. */
export function ms(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "—";
  if (value >= 10_000) return `${(value / 1000).toFixed(value >= 100_000 ? 0 : 1)} s`;
  return `${value >= 100 ? Math.round(value) : Number(value.toPrecision(2))} ms`;
}

/** A part of all, down to what is rare: 0.1 %. */
export const rare = (value: number | null | undefined): string => (value && value < 0.01 ? `${Number((value * 100).toPrecision(1))} %` : percent(value));

/** The first characters of a hash: enough to tell two apart. */
export const short = (hash: string): string => (hash ? hash.slice(0, 10) : "—");

const DAY = 86_400_000;

/** The day on a calendar elsewhere, e.g. 2026-11-25. */
export const dayIn = (ms: number, zone: string): string => new Intl.DateTimeFormat("sv-SE", { timeZone: zone }).format(ms);

const shifted = (day: string, by: number): string => new Date(Date.parse(day) + by * DAY).toISOString().slice(0, 10);

export const dayAfter = (day: string): string => shifted(day, 1);

/** So many days up to one, it included. */
export function daysTo(last: string, n: number): string[] {
  return Array.from({ length: n }, (_, i) => shifted(last, i + 1 - n));
}
