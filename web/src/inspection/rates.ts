// What two thresholds mean for the parts that are known, counted one by one.
import type { Scores, Thresholds } from "./types";

export interface Rates {
  falseReject: number | null; // share of the good that is rejected
  toPerson: number | null; // share of the good that a person has to look at
  escape: number | null; // share of the defective that passes
}

/** Each null where there is nothing to count it on. */
export function rates({ good, defective }: Scores, { pass, reject }: Thresholds): Rates {
  const share = (scores: number[], is: (score: number) => boolean) => (scores.length ? scores.filter(is).length / scores.length : null);
  return {
    falseReject: share(good, (score) => score > reject),
    toPerson: share(good, (score) => score > pass && score <= reject),
    escape: share(defective, (score) => score <= pass),
  };
}
