// Quantities, shares and money as a person reads them.
import { count } from "./format";
import { language } from "./language.svelte";

/** A quantity of no more digits than mean something. */
export function quantity(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "—";
  const size = Math.abs(value);
  const text = size >= 100 || Number.isInteger(value) ? count(Math.round(value)) : value.toFixed(size >= 10 ? 1 : 2);
  return text.replace("-", "−");
}

/** A share as a percentage, finer where it is near the whole. */
export function percent(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "—";
  return `${(value * 100).toFixed(value > 0.9 && value < 1 ? 1 : 0)} %`.replace("-", "−");
}

/** A number of so many decimals. */
export function fixed(value: number | null | undefined, places: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "—";
  return value.toFixed(places).replace(/^-(0(\.0*)?)$/, "$1").replace("-", "−");
}

/** A quantity that is more or less than something: always with its sign. */
export const difference = (value: number | null | undefined): string => `${typeof value === "number" && value > 0 ? "+" : ""}${quantity(value)}`;

/** What a currency is called where the page is read. */
export const currencyName = (code: string): string => (language.now === "zh" && code === "CNY" ? "元" : code);
