// What a person should do now, most urgent first: the overview's first lines.
import { fullLabel } from "./label";
import { say, t } from "./language.svelte";
import { connections, shown, standing, waiting } from "./lists.svelte";
import { to } from "./route.svelte";
import type { Priority } from "./types";

export interface Need {
  key: string;
  priority?: Priority;
  seen: boolean;
  over: boolean;
  what: string;
  todo: string;
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
    what: say(a.text),
    todo: say(a.action),
    where: a.equipment,
    link: shown(a) === "returned" ? to("alarms") : a.key.startsWith("system/connection/") ? to("connections") : a.key.startsWith("system/app/") ? to("apps") : a.equipment ? to("equipment", a.equipment) : to("alarms"),
  }));
  const found = alarms.filter((n) => !n.seen && !n.over);
  for (const one of waiting().filter((c) => c.state === "waiting")) {
    found.push({ key: one.id, seen: false, over: false, what: t("decide", { what: fullLabel(one.advice.tag) }), todo: say(one.advice.reason), where: "", link: to("advice", one.id) });
  }
  const trouble = connections.now?.recorder.trouble;
  if (trouble && !standing().some((a) => a.key === "system/recorder")) {
    found.push({ key: "recorder", seen: false, over: false, what: say(trouble), todo: "", where: "", link: to("connections") });
  }
  return [...found, ...alarms.filter((n) => n.seen), ...alarms.filter((n) => n.over)];
}
