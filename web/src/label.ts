// What a tag is called in front of people: its property's name, told apart where several mean the same.
import { title } from "./format";
import { say } from "./language.svelte";
import { plant } from "./plant.svelte";
import type { Tag } from "./types";

/** "Oil temperature 2": the property's name, with the tag's own number or name where its equipment has several of it. */
export function label(name: string): string {
  const tag = plant.tag(name);
  if (!tag) return title(name);
  const twins = twinsOf(tag);
  if (twins < 2) return say(tag.name);
  const number = /(\d+)$/.exec(tag.tag)?.[1];
  return number ? `${say(tag.name)} ${number}` : `${say(tag.name)} (${title(tag.tag)})`;
}

function twinsOf(tag: Tag): number {
  if (!tag.property) return 1;
  const mates = plant.equipment(tag.equipment)?.tags ?? [];
  return mates.filter((other) => plant.tag(other)?.property === tag.property).length;
}

/** The label with the equipment it belongs to, for lists over the whole plant. */
export function fullLabel(name: string): string {
  const tag = plant.tag(name);
  const where = tag?.equipment ? `${title(tag.equipment)} · ` : tag?.app ? `${tag.app} · ` : "";
  return where + label(name);
}
