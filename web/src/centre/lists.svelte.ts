// What the centre's pages show, asked for again every few seconds while somebody looks.
import { untrack } from "svelte";
import { List } from "../lists.svelte";
import { live } from "../live.svelte";
import { centre } from "./api";
import type { FleetNode } from "./types";

const EVERY = 3000; // ms between two looks
const OLD = 15_000; // ms without an answer: what is shown is not current

export const fleet = new List(async () => {
  const answer = await centre.fleet();
  live.tell(answer.now);
  return answer;
});
export const overall = new List(centre.overall);
export const rollouts = new List(centre.rollouts);
export const placement = new List(centre.placement);
export const models = new List(centre.models);
export const tenants = new List(centre.tenants);

/** Keeps a list true while the component lives and its page is in sight; call in its initialisation. */
export function keep(list: List<unknown>, every = EVERY) {
  $effect(() => {
    const look = () => !document.hidden && void untrack(() => list.load());
    look();
    const timer = setInterval(look, every);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  });
}

/** Whether the fleet that is shown is the fleet as it is. */
export const current = (): boolean => !!fleet.now && live.now - fleet.now.now < OLD;

/** The nodes that somebody expects to be there. */
export const nodes = (): FleetNode[] => (fleet.now?.nodes ?? []).filter((one) => one.state !== "removed");

/** How long ago a node was heard last, in s, counted on while no answer comes. */
export const silence = (node: FleetNode): number | null => (node.seen === null ? null : Math.max(0, (live.now - node.seen) / 1000));
