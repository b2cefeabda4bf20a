// What the stock app answers. Times are ms since 1970 UTC; quantities in the item's unit.
import type { Text } from "../types";

export type State = "ok" | "order" | "short" | "excess" | "unknown"; // unknown: too little demand, or still being planned

export interface Item {
  name: string;
  title: string | Text;
  unit: string;
  on_hand: number | null;
  on_order: number | null;
  reorder_at: number | null;
  order_up_to: number | null;
  days_of_cover: number | null;
  service_target: number | null; // 0..1
  service_simulated: number | null; // 0..1
  state: State;
  text: Text | null;
  drift?: Text | null; // that the forecast errs to one side
  old?: Text | null; // that the demand it was planned on ended long ago
}

/** How the planning goes. */
export interface Status {
  planned: number;
  of: number;
  trouble: Text | null;
  warnings: (string | Text)[];
}

export interface Detail {
  history: { time: number; demand: number }[];
  forecast: { time: number; mean: number; low: number; high: number }[];
  method: string | Text | null;
  interval?: number | null; // of the forecast, 0..1
  backtest: { method: string | Text; wape: number | null; mase: number | null; bias: number | null; coverage?: number | null }[];
  projection: { time: number; on_hand: number; low: number | null; high: number | null; in: number | null; out: number | null }[];
  curve: { service: number; cost: number }[];
  policy: { text?: Text } | null;
}
