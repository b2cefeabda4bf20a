// What a person should do now, most urgent first: the fleet page's first lines.
import { age } from "../format";
import { say } from "../language.svelte";
import { PRIORITIES } from "../lists.svelte";
import { live } from "../live.svelte";
import type { Need } from "../needs";
import { to } from "../route.svelte";
import type { Priority } from "../types";
import { bytes } from "./figures";
import { nodes, overall, placement, rollouts, silence } from "./lists.svelte";
import type { FleetNode } from "./types";
import { t, word } from "./words";

const DAY = 86_400_000;
const FEW_DAYS = 14 * DAY; // before its certificate ends; it renews by itself long before
const FULL = 2000; // MB free
const TURNED_DOWN = { refused: "need_refused", failed: "need_failed", rolled_back: "need_rolled_back" } as const;
const BEHIND = 300; // s that the oldest waiting sample is old, while the link is up

/** Nodes that are silent or in trouble, roll-outs that wait for a person, models that miss their deadline. */
export function needs(): Need[] {
  const found = [...ofCentre(), ...nodes().flatMap(ofNode), ...ofRollouts(), ...ofPlacement()];
  return found.sort((a, b) => PRIORITIES.indexOf(a.priority!) - PRIORITIES.indexOf(b.priority!));
}

function need(key: string, priority: Priority, what: string, todo: string, link: string, why = ""): Need {
  return { key, priority, seen: false, over: false, what, todo, why, where: "", link };
}

function ofCentre(): Need[] {
  return (overall.now?.failed ?? []).map((one) => need(`centre/${one.part}`, "high", t("need_part", { part: word("part", one.part) }), t("do_part"), to(""), say(one.why)));
}

function ofNode(node: FleetNode): Need[] {
  const found: Need[] = [];
  const name = node.name;
  const link = to("node", name);
  const add = (kind: string, priority: Priority, what: string, todo: string, why = "") => found.push(need(`${name}/${kind}`, priority, what, todo, link, why));
  const quiet = silence(node);
  if (node.state === "gone" || node.state === "late") {
    add("silent", node.state === "gone" ? "high" : "medium", t("need_silent", { node: name, age: age(quiet ?? 0) }), t("do_silent"));
    return found; // all else is as it was then
  }
  const urgent = (["critical", "high"] as const).find((priority) => node.alarms?.[priority]);
  if (urgent) add("alarms", urgent, t(urgent === "critical" ? "need_alarms_critical" : "need_alarms_high", { node: name, n: node.alarms![urgent]! }), t("do_alarms"));
  for (const model of node.models) {
    if (model.state === "refused" || model.state === "failed" || model.state === "rolled_back") {
      add(`model/${model.app}`, "medium", t(TURNED_DOWN[model.state], { node: name, app: model.app }), t("do_model"), say(model.text));
    }
  }
  const { configuration: set, outbox, metrics } = node;
  if (set.text) add("configuration", "medium", t("need_configuration", { node: name }), t("do_configuration"), say(set.text));
  else if (set.changed.length) add("changed", "medium", t("need_changed", { node: name, files: set.changed.join(", ") }), t("do_changed"));
  if (outbox && (outbox.oldest_s ?? 0) > BEHIND) add("outbox", "medium", t("need_behind", { node: name, age: age(outbox.oldest_s!), size: bytes(outbox.bytes) }), t("do_behind"));
  if (typeof metrics.disk_free_mb === "number" && metrics.disk_free_mb < FULL) add("disk", "high", t("need_disk", { node: name, free: bytes(metrics.disk_free_mb * 1e6) }), t("do_disk"));
  if (node.certificate_until !== null && node.certificate_until - live.now < FEW_DAYS) {
    add("certificate", "medium", t("need_certificate", { node: name, age: age((node.certificate_until - live.now) / 1000) }), t("do_certificate"));
  }
  return found;
}

function ofRollouts(): Need[] {
  return (rollouts.now ?? [])
    .filter((one) => one.state === "paused" || (one.state === "rolled_back" && live.now - one.started < DAY))
    .map((one) => need(`rollout/${one.id}`, "medium", t(one.state === "paused" ? "need_paused" : "need_back", { what: `${one.name} ${one.version}`, app: one.app }), t(one.state === "paused" ? "do_paused" : "do_back"), to("models", "", { rollout: one.id }), say(one.why)));
}

function ofPlacement(): Need[] {
  return (placement.now?.nodes ?? []).flatMap((node) =>
    node.models
      .filter((model) => model.trouble || model.options.some((option) => option.site === model.site && option.p99_ms !== null && !option.meets))
      .map((model) => need(`placement/${node.node}/${model.model}/${model.app}`, "high", t("need_deadline", { model: model.model, node: node.node, ms: model.deadline_ms }), t("do_deadline"), to("placement", node.node), say(model.trouble ?? model.why))),
  );
}
