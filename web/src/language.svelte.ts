// Words in English and Chinese; all of them live in words.json. The choice is kept; at first it is the browser's.
import type { Text } from "./types";
import words from "./words.json";

export type Language = "en" | "zh";
export type Word = keyof typeof words;

const KEPT = "ronghe.language";

function first(): Language {
  const kept = localStorage.getItem(KEPT);
  if (kept === "en" || kept === "zh") return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

class Choice {
  now = $state<Language>(first());

  set(language: Language) {
    this.now = language;
    localStorage.setItem(KEPT, language);
  }
}

export const language = new Choice();

/** The words for `key`, with `{name}` filled in. */
export function t(key: Word, fill: Record<string, string | number> = {}): string {
  return words[key][language.now].replace(/\{(\w+)\}/g, (all, name: string) => String(fill[name] ?? all));
}

/** A text of the server in the chosen language; English where Chinese is missing. */
export function say(text: Text | null | undefined): string {
  if (!text) return "";
  return language.now === "zh" && text.zh ? text.zh : text.en;
}

/** The words for a state or name that came from the server, where there are any. */
export function word(prefix: string, name: string): string {
  const key = `${prefix}_${name}`;
  return key in words ? t(key as Word) : name;
}
