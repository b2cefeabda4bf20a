// What an app that watches danger zones answers. Corners and boxes are parts of the picture's width and height, from the upper left.
import type { Text } from "../types";

export type Corner = [x: number, y: number];

export interface Zone {
  name: string;
  polygon: Corner[];
  active_while: string;
  rule: "feet" | "overlap";
  share: number;
  dwell: string;
  release: string;
}

export interface Zones {
  zones: Zone[];
  by: string;
  time: number; // ns
  occupied: Record<string, boolean>;
  active: Record<string, boolean>;
}

export interface State {
  time: number; // ns, of the newest picture that was judged
  monitored: boolean;
  why: Text | null;
  people: { box: [number, number, number, number]; score: number; zones: string[] }[];
  latency: number; // s
  advisory: Text;
}

export interface Intrusion {
  id: string;
  time: number; // ns
  zone: string;
  people: number;
}
