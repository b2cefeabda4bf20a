// Quantities and shares as a person reads them.
import { count } from "../format";

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
