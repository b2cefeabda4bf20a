// What an inspecting app answers. A view serves every app that answers these verbs. Times are ns since 1970 UTC, as text or number.
import type { Text } from "../types";

export type Verdict = "pass" | "review" | "reject" | "unreadable";
export type Label = "good" | "defective";
/** x0, y0, x1, y1 as parts of the picture's width and height; score; class or "" */
export type Region = [number, number, number, number, number, string];

export interface Part {
  id: string;
  time: string | number;
  number: number;
  name: string;
  verdict: Verdict;
  score: number | null;
  label: Label | "" | null;
  by: string | null;
  class: string | null;
  where: Region[];
  size: [number, number]; // px; 0 where nothing could be seen
  reason?: Text | null;
  audit?: boolean; // passed, and shown to a person by chance
}

export interface Thresholds {
  pass: number; // up to it a part passes
  reject: number; // above it a part is rejected; between the two a person decides
}

/** Shares of labelled parts that are decided rightly; `low` and `high` bound the difference. */
export interface Gain {
  before: number;
  after: number;
  low: number;
  high: number;
  text: Text;
}

export interface Status {
  state: "no model" | "learning" | "inspecting";
  model: { name: string; version: number | string; hash: string; good: number; created: string | number } | null;
  thresholds: Thresholds | null;
  promise: {
    false_reject: number;
    confidence: number;
    escape_bound: number | null;
    labelled_defects: number;
    audited?: number;
    defective_among_passed_bound?: number | null;
  } | null;
  counts: { pass: number; review: number; reject: number; unreadable: number; waiting: number; missed?: number };
  teaching: { good: number; defective: number; progress: number; message: Text; running: boolean } | null;
  candidate: { version: number | string; hash: string; gain: Gain | null; better: boolean | null } | null;
  classes: Record<string, number>;
  camera: Text[];
}

export interface Scores {
  good: number[];
  defective: number[];
}

/** One for all points, or one each; null where there is none. */
export type Limit = number | (number | null)[] | null;

export interface Chart {
  kind: string;
  centre: number | null;
  upper: Limit;
  lower: Limit;
  points: { time: string | number; value: number | null; out: boolean; rules: (string | number)[] }[];
}

export interface Charts {
  yield: { time: string | number; value: number; n: number }[];
  score: Chart | null;
  rate: Chart | null;
  ewma: Chart | null;
  cusum: Chart | null;
  capability: { cp: number | null; cpk: number | null; low: number | null; high: number | null } | null;
  classes: Record<string, { time: string | number; value: number }[]>;
}

/** ms since 1970 */
export const ms = (time: string | number): number => Number(time) / 1e6;
