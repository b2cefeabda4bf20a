// What the dispatch app answers. Times are ms since 1970 UTC; x and y are km, or longitude and latitude.
import type { Text } from "../types";

export interface Place {
  name: string;
  title: string | Text;
  x: number;
  y: number;
  depot: boolean;
  from: number | null; // its window
  to: number | null;
  demand: number | null;
  arrive: number | null;
  late: number; // min
}

export interface Stop {
  place: string;
  arrive: number;
  start: number;
  depart: number;
  load: number | null;
}

export interface Route {
  vehicle: string;
  title: string | Text;
  stops: Stop[];
  distance_km: number | null;
  hours: number | null;
  cost: number | null;
  carbon_kg: number | null;
  load: number | null;
  capacity: number | null;
  done: number | boolean; // stops behind it
}

export interface Plan {
  now: number;
  map: "plane" | "lonlat";
  places: Place[];
  routes: Route[];
  unserved: { place: string; why: Text | null }[];
  figures: Record<string, number | string | null>;
  status: string;
  checked: boolean;
  improving: boolean;
  why?: Text | null; // why there is no plan, or none that holds
}

export const KINDS = ["late_vehicle", "breakdown", "new_stop", "cancel"] as const;
export type Kind = (typeof KINDS)[number];

/** Something that happens on the way. */
export interface Disturbance {
  kind: Kind;
  vehicle?: string;
  minutes?: number;
  place?: string;
  goods?: "aboard" | "depot"; // of a vehicle that breaks down: what it carries is with it, or has not left
  stop?: { name: string; x: number; y: number; demand: number; from: number; to: number; minutes: number };
}

export interface Question {
  event: Disturbance;
}

export interface Answer {
  plan: Plan | null;
  problems?: { text: Text }[];
  delta?: { moved?: number };
  moved?: { order: string; before: string; after: string; minutes: number | null }[]; // before, after: vehicles
}
