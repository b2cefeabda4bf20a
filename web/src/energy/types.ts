// What an energy app answers. Times are ms since 1970 UTC; power in kW, shares 0..1.
import type { Text } from "../types";

export type Decider = "optimiser" | "rule" | "none";
export type Kind = "grid" | "pv" | "storage" | "flexible" | "load";

/** A meter, a source or a load. Positive: bought, generated, charged, used. */
export interface Node {
  name: string;
  title: Text;
  kind: Kind;
  kw: number | null;
  soc: number | null;
  capacity_kwh: number | null;
  age_s: number | null;
  good: boolean;
}

export interface Period {
  from: number;
  to: number;
  price: number | null; // null: no tariff for that time
  name: Text | null;
}

export interface Now {
  now: number;
  currency: string;
  by: Decider;
  why: Text | null;
  step_ms: number | null;
  nodes: Node[];
  price: number | null;
  next: { at: number; price: number } | null;
  tariff: { version: string; periods: Period[] } | null; // today and tomorrow
  month: { peak_kw: number | null; peak_at: number | null; energy_cost: number | null; demand_cost: number | null; carbon_kg: number | null } | null;
}

type Values = (number | null)[];

export interface Forecast {
  mean: Values;
  low: Values;
  high: Values;
}

export interface Plan {
  now: number;
  step_s: number;
  times: number[];
  price: Values;
  carbon: Values | null; // kg/kWh
  load: Forecast | null;
  pv: Forecast | null;
  grid: Values;
  storage: { name: string; title?: Text; kw: Values; soc: Values }[];
  actual: { times: number[]; grid: Values; load: Values; pv: Values | null; planned_grid: Values; storage: { name: string; kw: Values; soc?: Values }[] };
}

export interface Day {
  time: number;
  money: number | null;
  low: number | null;
  high: number | null;
  kwh: number | null;
  kg: number | null;
  by: Decider | string;
}

export interface WorthSoFar {
  currency: string;
  days: Day[];
  total: { money: number | null; low: number | null; high: number | null; kwh: number | null; kg: number | null; days: number } | null;
  method: Text | null;
}
