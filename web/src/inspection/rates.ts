// What two thresholds would mean, by the curve that the app measured on parts it knows.
import type { Scores, Thresholds } from "./types";

type Point = Scores["curve"][number];

/** The curve at a threshold, between its points by a straight line. */
function at(curve: Point[], threshold: number, read: (point: Point) => number | null): number | null {
  if (!curve.length) return null;
  const after = curve.findIndex((point) => point.threshold >= threshold);
  if (after < 0) return read(curve.at(-1)!);
  const b = curve[after]!;
  const a = curve[after - 1];
  const [low, high] = [a ? read(a) : null, read(b)];
  if (!a || low === null || high === null || b.threshold === a.threshold) return high;
  return low + ((high - low) * (threshold - a.threshold)) / (b.threshold - a.threshold);
}

export interface Rates {
  falseReject: number | null; // share of the good that is rejected
  toPerson: number | null; // share of the good that a person has to look at
  escape: number | null; // share of the defective that passes
}

export function rates(curve: Point[], { pass, reject }: Thresholds): Rates {
  const falseReject = at(curve, reject, (point) => point.false_reject);
  const notPassed = at(curve, pass, (point) => point.false_reject);
  return {
    falseReject,
    toPerson: falseReject === null || notPassed === null ? null : Math.max(0, notPassed - falseReject),
    escape: at(curve, pass, (point) => point.escape),
  };
}
