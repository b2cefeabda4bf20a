// Numbers, units and times as a person reads them.
import { language } from "./language.svelte";
import type { Measured, Tag } from "./types";

const ATOMS: Record<string, string> = {
  Cel: "°C",
  "[degF]": "°F",
  deg: "°",
  um: "µm",
  Ohm: "Ω",
  "[ppm]": "ppm",
  "[in_i]": "in",
  "[psi]": "psi",
  "kV.A{reactive}": "kvar",
  "V.A{reactive}": "var",
};
const UPPER = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A UCUM code as people write the unit: Cel → °C, m3/h → m³/h, kW.h → kW·h. */
export function unit(code: string): string {
  if (code in ATOMS) return ATOMS[code]!;
  return code
    .replace(/\{[^}]*\}/g, "")
    .split(/([./])/)
    .map((part) => {
      if (part === ".") return "·";
      if (part === "/") return part;
      if (part in ATOMS) return ATOMS[part];
      return part.replace(/^([a-zA-Z]+)(\d)$/, (_, name: string, power: string) => (ATOMS[name] ?? name) + UPPER[Number(power)]);
    })
    .join("");
}

/** How many decimals a tag deserves: about a thousandth of its range; four significant digits where it has none. */
export function decimals(tag: Pick<Tag, "type" | "low" | "high"> | undefined, value: number): number {
  if (tag?.type === "int" || tag?.type === "bool" || tag?.type === "image") return 0;
  const range = typeof tag?.low === "number" && typeof tag?.high === "number" ? tag.high - tag.low : 0;
  if (range > 0) return Math.min(5, Math.max(0, Math.round(3 - Math.log10(range))));
  const size = Math.abs(value);
  if (!Number.isFinite(size) || size === 0) return 2;
  return Math.min(5, Math.max(0, 3 - Math.floor(Math.log10(size))));
}

/** A value with sensible digits and a true minus sign; a dash where there is none. */
export function number(value: number | string | null | undefined, tag?: Pick<Tag, "type" | "low" | "high">): string {
  if (value === null || value === undefined) return "—";
  if (typeof value === "string") return value;
  if (!Number.isFinite(value)) return "—";
  const size = Math.abs(value);
  if (size >= 1e7 || (size !== 0 && size < 1e-4)) return value.toExponential(2).replace("-", "−").replace("e+", "e");
  const text = value.toFixed(decimals(tag, value)).replace(/^-(0(\.0*)?)$/, "$1");
  return text.replace("-", "−");
}

/** A number as it was written in a table: no digits added, none taken. */
export function plain(value: number): string {
  return String(Number(value.toPrecision(7))).replace("-", "−");
}

/** A range with one or both ends. */
export function range(low: number | null, high: number | null): string {
  if (low !== null && high !== null) return `${plain(low)} … ${plain(high)}`;
  return low !== null ? `≥ ${plain(low)}` : high !== null ? `≤ ${plain(high)}` : "—";
}

/** A difference: always with its sign. */
export function signed(value: number | null | undefined, tag?: Pick<Tag, "type" | "low" | "high">): string {
  const text = number(value, tag);
  return typeof value === "number" && value > 0 ? `+${text}` : text;
}

/** A measured effect and its interval, in one number of decimals: as many as keep an end that is not zero from looking like it. */
export function measured(worth: Pick<Measured, "effect" | "low" | "high">, tag?: Pick<Tag, "type" | "low" | "high">): { effect: string; low: string; high: string } {
  const { effect, low, high } = worth;
  if (effect === null || low === null || high === null) return { effect: "—", low: "—", high: "—" };
  const ends = [low, high].map(Math.abs).filter((size) => size > 0);
  const needed = ends.length ? -Math.floor(Math.log10(Math.min(...ends))) : 0;
  const places = Math.min(4, Math.max(decimals(tag, effect), needed));
  const write = (value: number) => `${value > 0 ? "+" : ""}${value.toFixed(places).replace("-", "−")}`;
  return { effect: write(effect), low: write(low), high: write(high) };
}

/** Money an hour, with its sign and two digits that mean something: +0.48 CNY/h. */
export function money(value: number | null, currency: string): string {
  if (value === null) return "—";
  const size = Math.abs(value);
  const text = value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2).replace("-", "−");
  return `${value > 0 ? "+" : ""}${text} ${language.now === "zh" && currency === "CNY" ? "元" : currency}/h`;
}

/** Seconds as the largest unit that is not zero: < 1 s, 12 s, 5 min, 3 h, 2 d. */
export function age(seconds: number): string {
  if (!Number.isFinite(seconds)) return "—";
  const s = Math.max(0, seconds);
  if (s < 1) return "< 1 s";
  if (s < 99.5) return `${Math.round(s)} s`;
  if (s < 99.5 * 60) return `${Math.round(s / 60)} min`;
  if (s < 47.5 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

/** A duration as the plant folder writes it, with its space: 12s → 12 s. */
export function spaced(duration: string): string {
  return duration.replace(/(\d)(?=[a-z])/g, "$1 ");
}

const two = (n: number) => String(n).padStart(2, "0");

/** A time of day, with the date when it is not today. ms since 1970. */
export function time(ms: number, now: number, seconds = true): string {
  if (!ms) return "—";
  const at = new Date(ms);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}${seconds ? `:${two(at.getSeconds())}` : ""}`;
  return at.toDateString() === new Date(now).toDateString() ? clock : `${day(ms)} ${clock}`;
}

/** A time of day. */
export function clock(ms: number): string {
  return time(ms, ms);
}

/** A date, year first as in ISO 8601. */
export function day(ms: number): string {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** The zone in which times are shown, e.g. GMT+8. */
export function zone(): string {
  const parts = new Intl.DateTimeFormat(language.now, { timeZoneName: "short" }).formatToParts(new Date());
  return parts.find((p) => p.type === "timeZoneName")?.value ?? "";
}

/** Processor time in µs; in ms where it is long. */
export function processor(us: number): string {
  if (!us) return "—";
  return us < 10_000 ? `${count(Math.round(us))} µs` : `${count(Math.round(us / 1000))} ms`;
}

/** A count with thin separators. */
export function count(n: number): string {
  return n.toLocaleString("en").replaceAll(",", " ");
}

/** The last part of a path. */
export function leaf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** An equipment's or tag's short name for people: underscores are spaces. */
export function title(path: string): string {
  return leaf(path).replaceAll("_", " ");
}
