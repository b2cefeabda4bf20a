// Which of a machine's values say most about it: set-points, what alarms and advice are about, then the rest in the folder's own order.
import { alarms, cases } from "./lists.svelte";
import { plant } from "./plant.svelte";
import type { Equipment } from "./types";

/** At most `most` tags of a machine, the telling ones first chosen, shown in the order of tags.csv. */
export function keyTags(machine: Equipment, most: number): string[] {
  const told = new Map<string, number>();
  const add = (tag: string, weight: number) => told.set(tag, (told.get(tag) ?? 0) + weight);
  for (const tag of Object.keys(plant.now?.guards ?? {})) add(tag, 2);
  for (const spec of Object.values(plant.now?.guards ?? {})) if (spec.worth) add(spec.worth.tag, 1);
  for (const alarm of alarms.now?.alarms ?? []) for (const evidence of alarm.evidence.slice(0, 3)) add(evidence.tag, 4 * evidence.share);
  for (const one of cases.now?.cases.slice(0, 5) ?? []) for (const evidence of one.advice.evidence.slice(0, 3)) add(evidence.tag, evidence.share);
  const ranked = machine.tags.map((tag, place) => ({ tag, place, weight: told.get(tag) ?? 0 }));
  const chosen = ranked.sort((a, b) => b.weight - a.weight || a.place - b.place).slice(0, most);
  return chosen.sort((a, b) => a.place - b.place).map((one) => one.tag);
}
