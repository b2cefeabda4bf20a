// Quality in words: an OPC UA status code, and what the page itself knows (no link, nothing yet).
import { t, type Word } from "./language.svelte";
import { live, type Cell } from "./live.svelte";

const WORDS: Record<number, Word> = {
  0x40900000: "q_stale",
  0x40910000: "q_substituted",
  0x40940000: "q_out_of_range",
  0x80310000: "q_no_communication",
  0x80320000: "q_waiting",
  0x80340000: "q_unknown_address",
  0x803c0000: "q_out_of_range",
  0x80890000: "q_configuration",
  0x808b0000: "q_device_failure",
  0x808c0000: "q_sensor_failure",
  0x808d0000: "q_out_of_service",
  0x800a0000: "q_timeout",
};

export interface Quality {
  good: boolean;
  word: string;
}

/** What may be said of a value now. */
export function quality(cell: Cell): Quality {
  if (live.link !== "live") return { good: false, word: t(live.link === "lost" ? "q_no_link" : "q_waiting") };
  const code = cell.code >>> 0;
  const known = WORDS[(code & 0xffff0000) >>> 0];
  const severity = code >>> 30;
  if (severity === 0) return { good: true, word: t("q_good") };
  return { good: false, word: known ? t(known) : t(severity === 1 ? "q_uncertain" : "q_bad") };
}
