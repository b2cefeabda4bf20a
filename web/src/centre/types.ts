// The answers of the centre's API, as in src/ronghe/console/centre. Times are ms since 1970 UTC; null is what is not known.
import type { Priority, Text } from "../types";

export type NodeState = "invited" | "up" | "late" | "gone" | "removed";

export interface Measured {
  rtt_ms: number;
  p99_ms: number;
  jitter_ms: number;
  loss: number; // 0..1
  bps: number | null;
}

export interface NodeModel {
  app: string;
  name: string;
  version: string;
  hash: string;
  wanted: string;
  state: "running" | "fetching" | "checking" | "refused" | "rolled_back" | "failed";
  text: Text | null;
  run_ms: number | null;
  switch_ms: number | null;
}

export interface FleetNode {
  name: string;
  plant: string;
  title: Text;
  state: NodeState;
  since: number | null;
  seen: number | null;
  age_s: number | null;
  version: string | null;
  address: string | null;
  certificate_until: number | null;
  configuration: { wanted: string | null; running: string | null; drift: boolean; changed: string[]; text?: Text | null };
  models: NodeModel[];
  outbox: { messages: number | null; bytes: number | null; oldest_s: number | null; drain_x: number | null } | null;
  metrics: Partial<Record<"cpu" | "rss_mb" | "disk_free_mb" | "tags" | "points_per_s", number | null>>;
  alarms: Partial<Record<Priority, number>> | null;
  link: Measured | null;
  log: { time: number; level: string; text: string }[];
}

export interface Overall {
  name: Text;
  url: string;
  failed: { part: string; why: Text }[];
}

export type Turn = "pause" | "go_on" | "stop" | "roll_back";

export interface Fleet {
  now: number;
  nodes: FleetNode[];
}

export interface Folder {
  hash: string;
  plant: string;
  time: number;
  by: string;
  files: number;
}

export interface Release {
  name: string;
  version: string;
  serial: number;
  hash: string;
  created: number;
  size: number;
  kind: string;
  signed_by: string;
  trusted: boolean;
  metrics: Record<string, number>;
  withdrawn: Text | null;
}

export interface Key {
  key: string;
  name: string;
  since: number | null;
  until: number | null;
  state: string;
}

export interface Models {
  releases: Release[];
  keys: Key[];
}

export interface WaveNode {
  node: string;
  state: string;
  text: Text | null;
}

export interface Wave {
  share: number;
  nodes: WaveNode[];
  state: string;
  gate: Text;
}

export interface Rollout {
  id: string;
  name: string;
  version: string;
  hash: string;
  app: string;
  started: number;
  by: string;
  state: "running" | "paused" | "done" | "stopped" | "rolled_back";
  why: Text | null;
  waves: Wave[];
}

export interface Site extends Omit<Measured, "rtt_ms" | "p99_ms" | "jitter_ms" | "loss"> {
  site: string;
  kind: "device" | "edge" | "workshop" | "centre";
  title: Text;
  rtt_ms: number | null;
  p99_ms: number | null;
  jitter_ms: number | null;
  loss: number | null;
  up: boolean;
}

export interface Option {
  site: string;
  compute_ms: number | null;
  link_ms: number | null;
  p99_ms: number | null;
  cost: number | null;
  meets: boolean;
  why: Text;
}

export interface Placed {
  model: string;
  app: string;
  deadline_ms: number;
  site: string;
  since: number;
  why: Text;
  trouble?: Text | null;
  options: Option[];
}

export interface Move {
  time: number;
  model: string;
  from: string;
  to: string;
  why: Text;
}

export interface PlacementNode {
  node: string;
  sites: Site[];
  models: Placed[];
  moves: Move[];
}

export interface Placement {
  now: number;
  nodes: PlacementNode[];
}

export interface TenantKey {
  id: string;
  scopes: string[];
  models: string[];
  created: number;
  last: number | null;
  state: "active" | "revoked";
}

export interface Quota {
  calls_per_day: number | null;
  compute_s_per_day: number | null;
  rate_per_s: number | null;
}

export interface Tenant {
  name: string;
  title: string;
  created: number;
  state: "active" | "no_key";
  currency: string;
  timezone: string;
  keys: TenantKey[];
  quota: Quota;
  today: { calls: number; refused: number; compute_s: number };
  models: string[];
}

export interface Usage {
  days: { time: number; model: string; calls: number; compute_s: number; refused: number }[];
}
