// Alarms, cases, connections and apps: what the top bar counts and several pages show. Fetched again when the stream says they changed.
import { api, type Failure } from "./api";
import { live } from "./live.svelte";
import type { Alarm, AlarmList, AlarmState, AppView, Cases, Connections, Equipment, Priority } from "./types";

/** A list with its error. An old list is kept while a new one cannot be had: the banner says that it is old. */
export class List<T> {
  now = $state.raw<T | null>(null);
  failure = $state.raw<Failure | null>(null);
  private again = false;
  private busy = false;

  /** `pause` ms at least between two looks: evidence may change with every sample. */
  constructor(
    private fetch: () => Promise<T>,
    private pause = 0,
  ) {}

  async load() {
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    do {
      this.again = false;
      try {
        this.now = await this.fetch();
        this.failure = null;
      } catch (error) {
        this.failure = error as Failure;
      }
      if (this.pause) await new Promise((done) => setTimeout(done, this.pause));
    } while (this.again);
    this.busy = false;
  }
}

export const alarms = new List<AlarmList>(api.alarms, 1000);
export const cases = new List<Cases>(api.cases, 500);
export const connections = new List<Connections>(api.connections);
export const apps = new List<AppView[]>(api.apps);

export const PRIORITIES: Priority[] = ["critical", "high", "medium", "low"];
const SLOW = 3000; // ms between looks at connections and apps, which have no revision

/** Keeps the lists true; call once, inside an effect root. Gives a function that stops it. */
export function keepLists(): () => void {
  $effect(() => {
    if (live.rev.alarms !== undefined) void alarms.load();
  });
  $effect(() => {
    if (live.rev.cases !== undefined) void cases.load();
  });
  const look = () => {
    if (document.hidden) return;
    void connections.load();
    void apps.load();
  };
  look();
  const timer = setInterval(look, SLOW);
  return () => clearInterval(timer);
}

/** The state of an alarm as a person sees it. */
export function shown(alarm: Alarm): AlarmState {
  return alarm.hidden?.how ?? alarm.state;
}

/** Alarms that a person should see now: neither normal nor hidden, in the node's order of urgency. */
export function standing(): Alarm[] {
  return (alarms.now?.alarms ?? []).filter((a) => !a.hidden && a.state !== "normal");
}

/** Cases that wait for a person. */
export function waiting() {
  return (cases.now?.cases ?? []).filter((c) => c.state === "waiting" || c.state === "advised");
}

const TELLING = 0.2; // of an alarm's evidence: so much of the deviation makes a value part of what is wrong

/** The worst alarm that stands because of a tag: what the value is about, wherever the alarm itself is kept. */
export function alarmOf(tag: string): Alarm | undefined {
  return standing().find((a) => a.active && a.evidence.some((e) => e.tag === tag && e.share >= TELLING));
}

/** The alarms of a machine: its own, those below it, and those that stand because of one of its values. */
export function alarmsAbout(machine: Equipment): Alarm[] {
  const own = new Set(machine.tags);
  const inside = (path: string) => path === machine.path || path.startsWith(`${machine.path}/`);
  return standing().filter((a) => inside(a.equipment) || (a.active && a.evidence.some((e) => e.share >= TELLING && own.has(e.tag))));
}

/** The alarms of an equipment and all below it. */
export function alarmsUnder(path: string): Alarm[] {
  return standing().filter((a) => a.equipment === path || a.equipment.startsWith(`${path}/`));
}
