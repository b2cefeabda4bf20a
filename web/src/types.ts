// The API's answers, as in src/ronghe/console and the structs it passes on. Times are ns since 1970 UTC unless a comment says ms.

export interface Text {
  en: string;
  zh: string;
}

export type RoleName = "viewer" | "operator" | "engineer" | "administrator";
export type Priority = "low" | "medium" | "high" | "critical";

export interface Me {
  name: string;
  role: RoleName;
}

/** What stands behind this page, and who is signed in. */
export interface Session {
  of: "node" | "centre";
  me: Me | null;
}

export interface Tag {
  id: number;
  tag: string;
  equipment: string;
  name: Text;
  unit: string;
  type: "float" | "int" | "bool" | "text" | "image";
  low: number | null;
  high: number | null;
  property: string;
  connection: string;
  address: string;
  every: number;
  writable: boolean;
  app: string;
}

export interface Equipment {
  path: string;
  name: Text;
  parent: string;
  tags: string[];
  apps: string[];
}

export interface GuardSpec {
  tag: string;
  mode: "advise" | "approve" | "auto";
  envelope: string;
  rate: string;
  interlock: string;
  watch: string;
  fresh: string;
  approvals: number;
  hold: string;
  worth: { tag: string; better: string; before: string; settle: string; after: string; price: number; currency: string } | null;
}

export interface Plant {
  boot: string;
  path: string;
  name: Text;
  equipment: Equipment[];
  tags: Tag[];
  guards: Record<string, GuardSpec>;
}

export type Revisions = Record<"alarms" | "cases" | "ledger" | "tags", number>;
/** id, source time (ms), value, OPC UA status code */
export type Row = [number, number, number | string | null, number];

export interface Changes {
  now: number; // ms
  rev: Revisions;
  d: Row[];
}

/** Columns of one tag; t in ms. Raw: `v`. Aggregate: `v` is the mean, with `min` and `max`; both null where nothing was good. */
export interface Series {
  tag: string;
  mode: "raw" | "aggregate";
  every: number; // ms between points of an aggregate
  t: number[];
  v: (number | null)[];
  min: (number | null)[];
  max: (number | null)[];
  bad: [number, number][]; // spans without a good value, ms
}

export interface Trend {
  from: number; // ms
  to: number;
  series: Series[];
}

export interface Evidence {
  tag: string;
  value: number | null;
  expected: number | null;
  unit: string;
  share: number;
}

export interface Advice {
  id: string;
  app: string;
  tag: string;
  value: number;
  time: number;
  expires: number;
  reason: Text;
  evidence: Evidence[];
  expected: { tag: string; low: number; high: number; within: number; unit: string } | null;
  valid_while: string;
  finding: string;
  model: string;
}

export type CaseState =
  "advised" | "waiting" | "refused" | "writing" | "watching" | "done" | "rolled_back" | "failed" | "expired" | "rejected";

export interface Check {
  name: string;
  ok: boolean;
  text: Text;
}

export interface Measured {
  tag: string;
  unit: string;
  enough: boolean;
  text: Text;
  baseline: Text;
  effect: number | null;
  low: number | null;
  high: number | null;
  distinguishable: boolean;
  n: [number, number];
  effective: [number, number];
  money: number | null;
  money_low: number | null;
  money_high: number | null;
  currency: string;
}

export interface Case {
  id: string;
  advice: Advice;
  state: CaseState;
  mode: string;
  unit: string;
  needs: number;
  approvals: string[];
  checks: Check[];
  history: { time: number; state: CaseState; who: string; text: Text }[];
  written: number | null;
  written_at: number;
  old: number | null;
  restoring: number;
  watched: { text: Text; until: number; tag: string; base: number; low: number | null; high: number | null; condition: string }[];
  effect: { seen: boolean; time: number; text: Text } | null;
  worth: Measured | null;
}

export interface Cases {
  killed: string;
  cases: Case[];
}

export interface Entry {
  seq: number;
  time: number;
  kind: string;
  body: Record<string, unknown>;
  prev: string;
  hash: string;
}

export interface Ledger {
  head: string;
  entries: Entry[];
  total: number;
}

export interface Verification {
  ok: boolean;
  entries: number;
  head: string;
  problems: Text[];
  torn: number;
}

export interface Connection {
  name: string;
  driver: string;
  tags: number;
  per_s: number;
  health: {
    state: "connecting" | "up" | "down" | "stopped";
    since: number;
    reason: Text | null;
    delivered: number;
    lag: number;
    lag_max: number;
    reconnects: number;
    dropped: number;
    backfilled: number;
  };
}

export interface Recorder {
  waiting: number;
  recorded: number;
  dropped: number;
  trouble: Text | null;
}

export interface Connections {
  connections: Connection[];
  recorder: Recorder;
}

/** A page that an app brings; `view` names the file in views/ that draws it. */
export interface BroughtPage {
  slug: string;
  title: Text;
  view: string;
}

export interface AppView {
  name: string;
  uses: string;
  equipment: string;
  state: "starting" | "up" | "slow" | "failed" | "stopped";
  reason: Text | null;
  rows: number;
  skipped: number;
  pictures: number;
  unseen: number;
  last_us: number;
  p99_us: number;
  signals: Record<string, number>;
  pages: BroughtPage[];
  tags: string[];
}

export interface Person {
  name: string;
  role: RoleName;
  made: number;
  seen: number;
  ready: boolean;
}

export interface Link {
  name: string;
  fragment: string;
}

export interface DictionaryEntry {
  property: {
    property: string;
    irdi: string;
    name_en: string;
    name_zh: string;
    unit: string;
    type: string;
    low: number | null;
    high: number | null;
  };
  tags: string[];
}

/** As a person sees it: `hidden` covers the state below. */
export type AlarmState = "normal" | "unacknowledged" | "acknowledged" | "returned" | "shelved" | "suppressed" | "out_of_service";

export interface Alarm {
  key: string;
  app: string;
  equipment: string;
  priority: Priority;
  text: Text;
  action: Text;
  state: "normal" | "unacknowledged" | "acknowledged" | "returned";
  hidden: { how: "shelved" | "suppressed" | "out_of_service"; user: string; why: string; since: number; until: number } | null;
  active: boolean;
  raised: number;
  returned: number;
  count: number;
  acknowledged_by: string;
  acknowledged_at: number;
  comment: string;
  score: number;
  evidence: Evidence[];
}

export interface AlarmList {
  alarms: Alarm[];
  metrics: { per_10_min: number; peak_10_min: number; flood: boolean; standing: number; unacknowledged: number; shelved: number; chattering: string[]; stale: string[] };
}

export type Mode = "advise" | "approve" | "auto";

export interface Bounded {
  value: number;
  low: number;
  high: number;
}

/** A guard and the switch over it. `permitted` is the most that the plant folder allows. Times in ms. */
export interface GuardSwitch {
  tag: string;
  title: Text;
  unit: string;
  permitted: Mode;
  mode: Mode;
  value: number | null;
  by: string | null;
  why: string | null;
  since: number | null;
  apps: string[];
  last: { time: number; state: CaseState; text: Text } | null;
  night: { from: number; to: number; written: number; refused: number; rolled_back: number; advised: number };
}

/** What running better was worth so far, against a stated baseline; measured over whole periods. Times in ms. */
export interface SavingSum {
  key: string;
  name: Text;
  app: string;
  equipment: string;
  method: string;
  baseline: Text;
  currency: string;
  days: number;
  money: Bounded | null;
  energy: Bounded | null; // kWh
  carbon: Bounded | null; // kg CO2e
  last: { start: number; end: number; money: Bounded | null; energy: Bounded | null; carbon: Bounded | null } | null;
}

export interface Autonomy {
  guards: GuardSwitch[];
  savings: SavingSum[];
  total: Record<string, Bounded>; // by currency
  kwh: Bounded | null;
  kg: Bounded | null;
  assumed: Text; // what the sums take for granted
}
