// What an app that tunes a process answers. Times are ms since 1970 UTC.
import type { Text } from "../types";

export interface Variable {
  tag: string;
  title: Text;
  unit: string;
  low: number;
  high: number;
  value: number | null;
  proposed: number | null;
  ramp: Text | null;
}

export interface Constraint {
  title: Text;
  unit: string;
  limit: number;
  side: "below" | "above";
  value: number | null;
  margin: number | null; // what is left to the limit, or how far an app keeps away from it
}

export interface Step {
  n: number;
  time: number;
  x: (number | null)[]; // as the variables are listed
  objective: number | null;
  expected: number | null;
  low: number | null;
  high: number | null;
  feasible: boolean | null;
  by: "start" | "model" | "person" | string;
  state: string;
}

export interface Path {
  objective: { title: Text; unit: string; better: "lower" | "higher" };
  variables: Variable[];
  constraints: Constraint[];
  steps: Step[];
  radius: number | null;
  best: number | null; // the n of a step
  saving: { value: number; low: number; high: number } | null;
  state: Text | null;
  settled: boolean;
}
