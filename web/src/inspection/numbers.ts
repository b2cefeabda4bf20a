// Rates and scores as a person reads them.

/** A share as a percentage, with as many digits as mean something: 0.4 %, 12 %, 97.3 %. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return "—";
  const value = share * 100;
  const places = value === 0 || value === 100 ? 0 : value < 0.1 ? 2 : value < 10 || value > 90 ? 1 : 0;
  return `${value.toFixed(Number.isInteger(Number(value.toFixed(6))) ? 0 : places)} %`;
}

/** A difference of shares in percentage points, with its sign. */
export function points(difference: number): string {
  return `${difference > 0 ? "+" : ""}${(difference * 100).toFixed(1)}`.replace("-", "−");
}

/** An anomaly score: three digits that mean something. */
export function score(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "—";
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || size === 0 ? 2 : 4).replace("-", "−");
}

/** A rate as at most so many of so many parts: 0.01 → 1 of 100, 0.0244 → 25 of 1000. */
export function outOf(rate: number): { n: number; of: number } {
  const whole = (many: number) => rate * many > 0.999 && Math.abs(rate * many - Math.round(rate * many)) < 1e-6;
  const of = [100, 1000].find(whole) ?? (rate >= 0.001 ? 1000 : 10_000);
  return { n: Math.ceil(rate * of - 1e-9), of };
}
