import { speaker } from "../language.svelte";
import words from "./words.json";

export const { t, word } = speaker(words);
