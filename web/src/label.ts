// What tags and equipment are called in front of people, by themselves and inside the sentences that the node says.
import { clock, title, unit } from "./format";
import { say } from "./language.svelte";
import { plant } from "./plant.svelte";
import type { Tag, Text } from "./types";

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

/** What people call an equipment; the last part of its path, begun like a name, where the plant folder does not say. */
export function equipmentName(path: string): string {
  const name = say(plant.equipment(path)?.name).replaceAll("_", " ") || title(path);
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** The equipment above one, by name: "Hydraulics / Test rig". */
export function whereabouts(path: string): string {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, i) => equipmentName(parts.slice(0, i + 1).join("/"))).join(" / ");
}

/** The label with the equipment it belongs to, for lists over the whole plant; once where the label says it already. */
export function fullLabel(name: string): string {
  const tag = plant.tag(name);
  const own = label(name);
  const where = tag?.equipment ? equipmentName(tag.equipment) : (tag?.app ?? "");
  return where && !own.toLowerCase().startsWith(where.toLowerCase()) ? `${where} · ${own}` : own;
}

const PATH = /[\p{L}\p{N}_.-]+\/[\p{L}\p{N}_./-]*[\p{L}\p{N}_]/gu;
const STAMP = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
const POWER = /(?<![\w.])-?\d+(?:\.\d+)?e[+-]\d+(?!\w)/g;
const LONG = /(?<![\w.-])(?:-?\d+\.\d{2,}|-\d+(?:\.\d)?)(?![\w-]|\.\d)/g;

/** A sentence of the node as a person reads it: names for paths, the day's own clock for time stamps, no more digits than mean something. */
export function prose(text: Text | string | null | undefined): string {
  return (typeof text === "string" ? text : say(text))
    .replace(STAMP, (stamp) => clock(Date.parse(stamp)))
    .replace(PATH, (path) => (plant.tag(path) ? fullLabel(path) : plant.equipment(path) ? equipmentName(path) : path))
    .replace(/(?<=\d )Cel(?!\w)/g, unit("Cel"))
    .replace(POWER, (number) => String(Number(number)))
    .replace(/(?<=\d)\.\.(?=[-+]?\d)/g, " … ")
    .replace(LONG, brief);
}

/** Three digits of a number with a long fraction, two below one; and a true minus sign. */
function brief(number: string): string {
  const value = Number(number);
  const size = Math.abs(value);
  const short = size >= 100 ? value.toFixed(0) : value.toPrecision(size >= 1 ? 3 : 2);
  return (/\.\d{2}/.test(number) ? String(Number(short)) : number).replace("-", "−");
}
