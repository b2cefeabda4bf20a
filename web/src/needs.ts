// What a person should do now, most urgent first: the overview's first lines.
import { age, number, unit } from "./format";
import { equipmentName, fullLabel, prose } from "./label";
import { t } from "./language.svelte";
import { connections, shown, standing, waiting } from "./lists.svelte";
import { to } from "./route.svelte";
import { live } from "./live.svelte";
import { plant } from "./plant.svelte";
import type { Case, Priority } from "./types";

export interface Need {
  key: string;
  priority?: Priority;
  seen: boolean;
  over: boolean;
  what: string;
  todo: string;
  why?: string;
  where: string;
  link: string;
}

/** New alarms, advice that waits, a recorder that does not record; then alarms in hand, and those that are over but were not seen. */
export function needs(): Need[] {
  const alarms: Need[] = standing().map((a) => ({
    key: a.key,
    priority: a.priority,
    seen: shown(a) === "acknowledged",
    over: shown(a) === "returned",
    what: prose(a.text),
    todo: prose(a.action),
    where: a.equipment && !prose(a.text).includes(equipmentName(a.equipment)) ? equipmentName(a.equipment) : "",
    link: shown(a) === "returned" ? to("alarms") : a.key.startsWith("system/connection/") ? to("connections") : a.key.startsWith("system/app/") ? to("apps") : a.equipment ? to("equipment", a.equipment) : to("alarms"),
  }));
  const found = alarms.filter((n) => !n.seen && !n.over);
  for (const one of waiting().filter((c) => c.state === "waiting")) {
    found.push({ key: one.id, seen: false, over: false, what: t("decide", { what: fullLabel(one.advice.tag), value: proposed(one) }), todo: "", why: `${prose(one.advice.reason)} · ${t("decide_within", { time: age((one.advice.expires / 1e6 - live.now) / 1000) })}`, where: "", link: to("advice", one.id) });
  }
  const trouble = connections.now?.recorder.trouble;
  if (trouble && !standing().some((a) => a.key === "system/recorder")) {
    found.push({ key: "recorder", seen: false, over: false, what: prose(trouble), todo: "", where: "", link: to("connections") });
  }
  return [...found, ...alarms.filter((n) => n.seen), ...alarms.filter((n) => n.over)];
}

function proposed(one: Case): string {
  const meta = plant.tag(one.advice.tag);
  return `${number(one.advice.value, meta)} ${unit(one.unit || meta?.unit || "")}`;
}
