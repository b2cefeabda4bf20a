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
  of = $state.raw<Of | null>(null);
  failure = $state.raw<Failure | null>(null);
  private turn = 0;

  async show(of: Of, app: string, verb: string, args: Args) {
    const turn = ++this.turn;
    try {
      const url = URL.createObjectURL(await api.picture(app, verb, args));
      if (turn !== this.turn) return URL.revokeObjectURL(url);
      this.clear();
      [this.url, this.of, this.failure] = [url, of, null];
    } catch (error) {
      if (turn !== this.turn) return;
      this.clear();
      [this.of, this.failure] = [of, error as Failure];
    }
  }

  /** Nothing is shown, and what was on its way is not wanted any more. */
  end() {
    this.turn++;
    this.clear();
    this.of = null;
  }

  private clear() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = "";
  }
}
