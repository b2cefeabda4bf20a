// What the planning app answers. Times are ms since 1970 UTC.
import type { Text } from "../types";

export interface Off {
  from: number;
  to: number;
  why: string | Text;
  stop: boolean;
}

export interface Machine {
  name: string;
  title: string | Text;
  off: Off[];
}

export interface Operation {
  name: string;
  job: string;
  machine: string;
  choices: { machine: string; minutes: number }[];
  setup: number; // when its set-up begins; its start where it has none
  start: number;
  end: number;
  family: string;
  fixed: boolean;
  done: boolean;
  batch: number;
}

export interface Job {
  name: string;
  product: string;
  quantity: number;
  release: number;
  due: number | null;
  end: number | null;
  weight: number;
  late: number; // min
  why: Text | null;
  fix: Text | null;
}

export interface Figures {
  objective: number | null;
  lower_bound: number | null;
  gap: number | null; // 0..1
  makespan_h: number | null;
  tardiness_h: number | null;
  setup_h: number | null;
  late_jobs: number | null;
  utilisation: Record<string, number>; // 0..1
}

export interface Plan {
  now: number;
  from: number;
  to: number;
  machines: Machine[];
  operations: Operation[];
  jobs: Job[];
  figures: Figures;
  by: string;
  status: string;
  checked: boolean;
  improving: boolean;
  version: number;
  changed: string[];
  events: { time: number; kind: string; text: Text }[]; // newest first
  why?: Text | null; // why there is no plan, or none that holds
}

/** Where a person puts an operation: there it stays, until it is set free. */
export interface Move {
  operation: string;
  machine?: string;
  start?: number;
  free?: true;
}

export const KINDS = ["breakdown", "rush", "late_material", "quality_stop", "maintenance"] as const;
export type Kind = (typeof KINDS)[number];

/** Something that happens to the plan. */
export interface Disturbance {
  kind: Kind;
  machine?: string;
  from?: number;
  to?: number;
  job?: { name: string; product: string; quantity: number; due: number; weight: number; like: string };
  material?: string;
  at?: number;
  quantity?: number;
}

export interface Question {
  moves: Move[];
  event?: Disturbance;
}

export interface Problem {
  operation: string;
  text: Text;
}

export interface Answer {
  problems: Problem[];
  plan: Plan | null;
  delta: { tardiness_h: number; makespan_h: number; setup_h: number; moved: number } | null;
}
