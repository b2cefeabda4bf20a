// What a view keeps asking its app: answers and pictures, again and again while the page is in sight.
import { untrack } from "svelte";
import { api, type Args, type Failure } from "./api";
import { List } from "./lists.svelte";

/** The answer of a verb, asked again every so many ms. Call in a component's initialisation; `args` may be reactive, null asks nothing. */
export function asked<T>(app: string, verb: string, every: number, args: () => Args | null = () => ({})): List<T> {
  const list = new List(() => api.ask<T>(app, verb, untrack(args) ?? {}));
  $effect(() => {
    const now = args();
    void JSON.stringify(now);
    if (!now) return;
    untrack(() => void list.load());
    const timer = setInterval(() => !document.hidden && void list.load(), every);
    return () => clearInterval(timer);
  });
  return list;
}

/** A picture that is shown until the next one has come whole, so that nothing flickers; `of` says what it is a picture of. */
export class Shown<Of> {
  url = $state.raw("");
  size = $state.raw<[number, number]>([4, 3]); // px
  of = $state.raw<Of | null>(null);
  failure = $state.raw<Failure | null>(null);
  private wanted: (() => Promise<void>) | null = null;
  private busy = false;

  /** Fetches a picture and shows it. What is asked for while one is on its way follows it, the newest only: a slow link shows fewer. */
  async show(of: Of, app: string, verb: string, args: Args) {
    this.wanted = () => this.fetch(of, app, verb, args);
    if (this.busy) return;
    this.busy = true;
    for (let next = this.take(); next; next = this.take()) await next();
    this.busy = false;
  }

  /** Nothing is shown, and what was on its way is not wanted any more. */
  end() {
    this.epoch++;
    this.wanted = null;
    this.clear();
    this.of = null;
  }

  private epoch = 0;

  private take() {
    const next = this.wanted;
    this.wanted = null;
    return next;
  }

  private async fetch(of: Of, app: string, verb: string, args: Args) {
    const { epoch } = this;
    let after: { blob: Blob; size: [number, number] } | Failure;
    try {
      const blob = await api.picture(app, verb, args);
      const { width, height } = await createImageBitmap(blob);
      after = { blob, size: [width, height] };
    } catch (error) {
      after = error as Failure;
    }
    if (epoch !== this.epoch) return;
    this.clear();
    this.of = of;
    this.failure = "blob" in after ? null : after;
    if ("blob" in after) [this.url, this.size] = [URL.createObjectURL(after.blob), after.size];
  }

  private clear() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = "";
  }
}
