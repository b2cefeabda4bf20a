// What a plan of routes comes to, and how two differ.
import { count } from "../format";
import type { Plan, Route } from "./types";

export interface Sums {
  vehicles: number;
  km: number | null;
  hours: number | null;
  cost: number | null;
  carbon: number | null; // kg CO₂e
  late: number; // stops
  unserved: number;
}

const total = (routes: Route[], of: (route: Route) => number | null) =>
  routes.every((route) => of(route) === null) ? null : routes.reduce((sum, route) => sum + (of(route) ?? 0), 0);

export function sumsOf(plan: Plan): Sums {
  const used = plan.routes.filter((route) => route.stops.length);
  return {
    vehicles: used.length,
    km: total(used, (route) => route.distance_km),
    hours: total(used, (route) => route.hours),
    cost: total(used, (route) => route.cost),
    carbon: total(used, (route) => route.carbon_kg),
    late: plan.places.filter((place) => place.late > 0).length,
    unserved: plan.unserved.length,
  };
}

/** A number of no more digits than mean something. */
export function brief(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "—";
  const size = Math.abs(value);
  return (size >= 1000 ? count(Math.round(value)) : size >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1)).replace("-", "−");
}
