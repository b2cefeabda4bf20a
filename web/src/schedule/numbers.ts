// Hours, percentages and differences as a person reads them.

/** Hours with one decimal, days where there are many: 3.5 h, 12.4 d. */
export function hours(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "—";
  const size = Math.abs(value);
  const text = size >= 96 ? `${(value / 24).toFixed(1)} d` : size >= 1 || size === 0 ? `${value.toFixed(1)} h` : `${Math.round(value * 60)} min`;
  return text.replace("-", "−");
}

/** Minutes as the same. */
export const minutes = (value: number | null | undefined): string => hours(value === null || value === undefined ? value : value / 60);

/** A difference of hours: always with its sign. */
export const more = (value: number): string => `${value > 0 ? "+" : ""}${hours(Math.abs(value) < 0.005 ? 0 : value)}`;

export const share = (value: number | null | undefined): string => (value === null || value === undefined ? "—" : `${(value * 100).toFixed(value < 0.1 && value > 0 ? 1 : 0)} %`);

/** A cost of no unit: no more digits than mean something. */
export function amount(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "—";
  const size = Math.abs(value);
  const text = size >= 1000 ? Math.round(value).toLocaleString("en").replaceAll(",", " ") : Number(value.toPrecision(4)).toString();
  return text.replace("-", "−");
}
