// The stream of live values: one cell a tag, the state of the link to the node, and what lists have changed.
import { api } from "./api";
import { plant } from "./plant.svelte";
import type { Changes, Revisions } from "./types";

const SILENT = 3500; // ms without a message: the node sends one at least every second
const LINGER = 150; // ms to gather what a page wants to watch

/** The latest of one tag. `time` in ms of the source; `code` is an OPC UA status code. */
export class Cell {
  value = $state.raw<number | string | null>(null);
  time = $state.raw(0);
  code = $state.raw(0x80320000);
}

class Live {
  /** Whether values come in. Anything but "live" means that no value on the page is good. */
  link = $state<"opening" | "live" | "lost">("opening");
  /** The node's clock, ms; moves twice a second. */
  now = $state(Date.now());
  rev = $state.raw<Revisions>({ alarms: -1, cases: -1, ledger: -1, tags: -1 });
  /** When the last message came, in the node's clock. */
  heard = $state(0);

  private cells = new Map<string, Cell>();
  private wanted = new Map<string, number>();
  private offset = 0;
  private last = 0;
  private source: EventSource | null = null;
  private asked = new Set<string>();
  private names: string[] = [];
  private timer = 0;
  private running = false;

  constructor() {
    setInterval(() => this.beat(), 500);
    // A hidden page holds no connection: browsers allow six to one server, and control rooms have many tabs.
    document.addEventListener("visibilitychange", () => {
      this.close();
      this.link = "opening"; // what was seen before is not current until told again
      this.open();
    });
    addEventListener("offline", () => (this.link = "lost"));
  }

  start() {
    this.running = true;
    this.open();
  }

  /** Nobody is signed in any more. */
  stop() {
    this.running = false;
    this.close();
    this.link = "opening";
  }

  cell(tag: string): Cell {
    let cell = this.cells.get(tag);
    if (!cell) this.cells.set(tag, (cell = new Cell()));
    return cell;
  }

  /** Keeps tags coming until the returned function is called. */
  watch(tags: string[]): () => void {
    for (const tag of tags) this.wanted.set(tag, (this.wanted.get(tag) ?? 0) + 1);
    this.soon();
    return () => {
      for (const tag of tags) {
        const left = (this.wanted.get(tag) ?? 1) - 1;
        if (left) this.wanted.set(tag, left);
        else this.wanted.delete(tag);
      }
    };
  }

  private soon() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      const missing = [...this.wanted.keys()].some((tag) => !this.asked.has(tag) && plant.tag(tag));
      if (missing) this.open();
    }, LINGER);
  }

  private close() {
    this.source?.close();
    this.source = null;
  }

  private open() {
    this.close();
    const known = plant.now;
    if (!known || document.hidden || !this.running) return;
    this.last = performance.now();
    this.names = known.tags.map((t) => t.tag);
    this.asked = new Set([...this.wanted.keys()].filter((tag) => plant.tag(tag)));
    const ids = ranges(known.tags.filter((t) => this.asked.has(t.tag)).map((t) => t.id));
    this.source = new EventSource(`api/stream?boot=${known.boot}&ids=${ids}`);
    this.source.addEventListener("live", (event) => this.take(JSON.parse((event as MessageEvent<string>).data) as Changes));
    this.source.addEventListener("boot", () => void this.again());
    this.source.onerror = () => {
      // A browser gives up for good after an HTTP error: try again ourselves, and find out whether we are still signed in.
      if (this.source?.readyState !== EventSource.CLOSED) return;
      setTimeout(() => this.running && void api.me().then(() => this.again(), () => this.open()), 2000);
    };
  }

  /** The node is another one than before, or has new tags: ids mean something else now. */
  private async again() {
    this.close();
    try {
      await plant.load();
    } finally {
      this.open();
    }
  }

  /** The clock of what stands behind the page, as told, ms. */
  tell(now: number) {
    this.offset = now - Date.now();
  }

  private take(changes: Changes) {
    this.tell(changes.now);
    this.last = performance.now();
    this.link = "live";
    this.heard = changes.now;
    for (const [id, time, value, code] of changes.d) {
      const name = this.names[id];
      if (name === undefined) continue;
      const cell = this.cell(name);
      cell.value = value;
      cell.time = time;
      cell.code = code;
    }
    const grown = this.rev.tags >= 0 && changes.rev.tags !== this.rev.tags;
    const moved = (Object.keys(changes.rev) as (keyof Revisions)[]).some((k) => changes.rev[k] !== this.rev[k]);
    if (moved) this.rev = changes.rev;
    if (grown) void this.again();
  }

  private beat() {
    this.now = Date.now() + this.offset;
    if (!this.running || document.hidden || performance.now() - this.last < SILENT) return;
    this.link = "lost";
    this.open();
  }
}

/** Sorted ids as ranges: 0-12,40. */
export function ranges(ids: number[]): string {
  const parts: string[] = [];
  const sorted = [...ids].sort((a, b) => a - b);
  for (let i = 0; i < sorted.length; ) {
    let j = i;
    while (sorted[j + 1] === sorted[j]! + 1) j++;
    parts.push(i === j ? `${sorted[i]}` : `${sorted[i]}-${sorted[j]}`);
    i = j + 1;
  }
  return parts.join(",");
}

export const live = new Live();
