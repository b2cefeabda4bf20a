// Where the operations of a plan lie: a row for each machine, in it a bar for each operation; those of a batch share the row's height.
import type { Job, Move, Operation, Plan } from "./types";

export interface Bar {
  operation: Operation;
  job: Job | undefined;
  row: number;
  lane: number;
  lanes: number;
  /** after: ends after its order is due; order: its order will be late. */
  late: "after" | "order" | "";
  shade: number; // 0..2: neighbouring families look different, and no family is a colour
}

const SLACK = 60_000; // ms by which an operation may move without having moved

/** The bars of a plan, in order of machine and time. */
export function barsOf(plan: Plan): Bar[] {
  const rows = new Map(plan.machines.map((machine, k) => [machine.name, k]));
  const jobs = new Map(plan.jobs.map((job) => [job.name, job]));
  const families = [...new Set(plan.operations.map((one) => one.family))].sort();
  const batches = new Map<string, Operation[]>();
  for (const one of plan.operations) {
    if (!one.batch) continue;
    const key = `${one.machine}/${one.batch}`;
    batches.set(key, [...(batches.get(key) ?? []), one]);
  }
  const bars = plan.operations.map((operation): Bar => {
    const job = jobs.get(operation.job);
    const mates = operation.batch ? batches.get(`${operation.machine}/${operation.batch}`)! : [operation];
    const late = !job || job.late <= 0 ? "" : job.due !== null && operation.end > job.due ? "after" : "order";
    const shade = families.indexOf(operation.family) % 3;
    return { operation, job, row: rows.get(operation.machine) ?? 0, lane: mates.indexOf(operation), lanes: mates.length, late, shade };
  });
  return bars.sort((a, b) => a.row - b.row || a.operation.start - b.operation.start || a.lane - b.lane);
}

/** The operations of `before` that lie elsewhere in `after`. */
export function movedFrom(before: Plan, after: Plan): Operation[] {
  const now = new Map(after.operations.map((one) => [one.name, one]));
  return before.operations.filter((old) => {
    const one = now.get(old.name);
    return one && (one.machine !== old.machine || Math.abs(one.start - old.start) > SLACK);
  });
}

/** How long an operation takes on a machine, ms; null where it cannot be done there. */
export function lasts(operation: Operation, machine: string): number | null {
  const choice = operation.choices.find((one) => one.machine === machine);
  return choice ? choice.minutes * 60_000 : null;
}

/** The moves with one more: of the same operation the newest counts. */
export function withMove(moves: Move[], move: Move): Move[] {
  return [...moves.filter((one) => one.operation !== move.operation), move];
}

/** The bar that an arrow key leads to: along the machine, or to the nearest in time on the next machine that has any. */
export function neighbour(bars: Bar[], from: Bar, key: string): Bar | undefined {
  const at = bars.indexOf(from);
  if (key === "ArrowLeft") return bars[at - 1]?.row === from.row ? bars[at - 1] : undefined;
  if (key === "ArrowRight") return bars[at + 1]?.row === from.row ? bars[at + 1] : undefined;
  const down = key === "ArrowDown";
  const rows = bars.map((bar) => bar.row).filter((row) => (down ? row > from.row : row < from.row));
  if (!rows.length) return undefined;
  const row = down ? Math.min(...rows) : Math.max(...rows);
  const far = (bar: Bar) => Math.abs(bar.operation.start + bar.operation.end - from.operation.start - from.operation.end);
  return bars.filter((bar) => bar.row === row).reduce((best, bar) => (far(bar) < far(best) ? bar : best));
}

/** Whether a person may put it elsewhere: what has begun stays; what was put somewhere by hand may be put elsewhere. */
export const movable = (operation: Operation, now: number): boolean => !operation.done && Math.min(operation.setup, operation.start) >= now;
