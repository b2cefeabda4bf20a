// How the pages that apps bring are drawn: a page names its view, and views/NAME.svelte is loaded when it is first opened.
import type { Component } from "svelte";
import type { AppView } from "./types";

type View = Component<{ app: AppView }>;

const known = import.meta.glob<{ default: View }>("./views/*.svelte");

/** The view of that name; null for a page without one, or with one that this console does not have: its app is shown by its contract. */
export async function loadView(name: string): Promise<View | null> {
  const load = known[`./views/${name}.svelte`];
  return load ? (await load()).default : null;
}
