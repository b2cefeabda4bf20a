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

type Words = Record<string, Record<Language, string>>;
type Fill = Record<string, string | number>;

/** How a page speaks that has words of its own beside the shell's: `t` fills in `{name}`, `word` says a state or name that came from the server. */
export function speaker<Own extends Words>(own: Own) {
  const all: Words = { ...words, ...own };
  const t = (key: Word | (keyof Own & string), fill: Fill = {}): string =>
    all[key]![language.now].replace(/\{(\w+)\}/g, (whole, name: string) => String(fill[name] ?? whole));
  const word = (prefix: string, name: string): string => (`${prefix}_${name}` in all ? t(`${prefix}_${name}` as Word) : name);
  return { t, word };
}

/** The shell's own: `t` the words for a key, with `{name}` filled in; `word` those for a state or name of the server's, where there are any. */
export const { t, word } = speaker({});

/** A text of the server in the chosen language; English where Chinese is missing. */
export function say(text: Text | null | undefined): string {
  if (!text) return "";
  return language.now === "zh" && text.zh ? text.zh : text.en;
}
