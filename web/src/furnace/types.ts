// What an app that foretells a furnace answers. Times are ms since 1970 UTC.
import type { Text } from "../types";

export interface Foretold {
  time: number;
  mean: number | null;
  low: number | null;
  high: number | null;
}

export interface State {
  now: number;
  unit: string;
  silicon: { value: number | null; time: number | null; age_s: number | null; good: boolean } | null;
  target: { low: number; high: number } | null;
  history: { time: number; value: number | null }[];
  fan: Foretold[]; // what is foretold now
  past: (Foretold & { value: number | null })[]; // what had been foretold of what came
  coverage: number | null; // of the interval, 0..1
  hit_rate: number | null; // 0..1
  drift: boolean;
  text: Text | null;
  model: { hash: string; rows: number; until: number | null } | null;
  outside: Text[]; // inputs that are where the model never was
}

/** The operating line of the blast furnace after Rist: oxygen and hydrogen exchanged, a mole of iron and of carbon. */
export interface Rist {
  line: [[number, number], [number, number]] | null;
  points: { name: string; x: number; y: number; title: Text }[];
  x_title: Text;
  y_title: Text;
  carbon: number | null;
  oxygen: number | null;
  nitrogen: number | null;
  assumptions: Text[];
  from: "typed" | "tags";
}
