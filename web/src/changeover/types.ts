// What the changeover app answers. Times are ms since 1970 UTC.
import type { Text } from "../types";

export type StepState = "waiting" | "doing" | "done" | "failed" | "rolled_back";

export interface Step {
  name: string;
  title: Text;
  state: StepState;
  began: number | null;
  ended: number | null;
  text: Text | null;
  confirm: boolean; // a person must confirm it
  by: string;
}

export interface Run {
  id: string;
  recipe: string;
  title: Text;
  began: number;
  state: string;
  steps: Step[];
  ends: number | null;
  outcome: Text | null;
}

export interface RecipeLine {
  name: string;
  title: Text;
  product: string;
  version: string;
  equipment: string;
}

export interface State {
  now: number;
  limit: number; // s
  recipes: RecipeLine[];
  wrong?: Text[]; // what is wrong with the recipes' files
  current: string | null;
  running: Run | null;
  last: Run[];
}

export interface Parameter {
  tag: string;
  title: Text;
  unit: string;
  now: number | string | null;
  quality: string;
  will: number | string | null;
}

/** Something that must be there: told as it is, with a quantity and whether it is there where the app knows. */
export type Needed = Text | string | { name?: string; title?: Text; quantity?: number; unit?: string; ok?: boolean; text?: Text | null };

export interface Order {
  name: string;
  product: string;
  quantity: number;
  start?: number | null;
  due?: number | null;
}

export interface Recipe extends RecipeLine {
  parameters: Parameter[];
  checks: Needed[];
  materials: Needed[];
  people: Needed[];
  orders: Order[];
}
