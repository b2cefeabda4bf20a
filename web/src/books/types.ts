// What an app that keeps the books of energy and carbon answers. Times are ms since 1970 UTC.
import type { Text } from "../types";

/** An energy performance indicator (ISO 50006): what was used against what the baseline expects for the same work. */
export interface Indicator {
  name: string;
  title: Text;
  unit: string;
  driver: Text | null; // what drives the use
  model: Text | null;
  r2: number | null;
  cv_rmse: number | null; // 0..1
  valid: boolean;
  why: Text | null;
  periods: { time: number; actual: number | null; expected: number | null; low: number | null; high: number | null }[];
  cusum: (number | null)[]; // of the same periods
  target: number | null;
}

export interface Factor {
  name: string;
  title: Text;
  scope: number | string;
  basis: string; // location, market, or nothing
  value: number;
  unit: string;
  version: string;
  source: string | Text;
}

export interface Product {
  name: string;
  title: Text;
  quantity: number | null;
  unit: string;
  kg_per_unit: number | null;
  low: number | null;
  high: number | null;
}

export interface Carbon {
  scope1_kg: number | null;
  scope2_location_kg: number | null;
  scope2_market_kg: number | null;
  factors: Factor[];
  days: { time: number; location: number | null; market: number | null; scope1: number | null }[];
  products: Product[];
}
