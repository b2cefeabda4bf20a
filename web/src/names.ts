// What people call a thing of the plan.
import { say } from "./language.svelte";
import type { Text } from "./types";

/** A title that may be in both languages, or in none but its own. */
export const title = (text: string | Text | null | undefined): string => (typeof text === "string" ? text : say(text));

/** The title of a thing; its name where it has none. */
export function name(thing: { name: string; title?: string | Text | null } | undefined): string {
  return thing ? title(thing.title) || thing.name : "";
}
