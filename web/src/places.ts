// The pages of the shell, in the order of the menu. An app's own pages are not here: they come with the app.
import type { Component } from "svelte";
import type { Word } from "./language.svelte";
import type { IconName } from "./parts/Icon.svelte";
import type { RoleName } from "./types";
import Advice from "./pages/Advice.svelte";
import Alarms from "./pages/Alarms.svelte";
import Apps from "./pages/Apps.svelte";
import Autonomy from "./pages/Autonomy.svelte";
import Connections from "./pages/Connections.svelte";
import Dictionary from "./pages/Dictionary.svelte";
import EquipmentPage from "./pages/Equipment.svelte";
import Ledger from "./pages/Ledger.svelte";
import Overview from "./pages/Overview.svelte";
import TagPage from "./pages/Tag.svelte";
import Trends from "./pages/Trends.svelte";
import Users from "./pages/Users.svelte";

export interface Place {
  page: string;
  name: Word;
  icon: IconName;
  component: Component;
  role?: RoleName;
  hidden?: boolean;
}

export const PLACES: Place[] = [
  { page: "", name: "overview", icon: "overview", component: Overview },
  { page: "equipment", name: "equipment", icon: "plant", component: EquipmentPage },
  { page: "trends", name: "trends", icon: "trends", component: Trends },
  { page: "alarms", name: "alarms", icon: "alarms", component: Alarms },
  { page: "advice", name: "advice", icon: "advice", component: Advice },
  { page: "autonomy", name: "autonomy", icon: "autonomy", component: Autonomy },
  { page: "ledger", name: "ledger", icon: "ledger", component: Ledger },
  { page: "dictionary", name: "dictionary", icon: "dictionary", component: Dictionary },
  { page: "connections", name: "connections", icon: "connections", component: Connections },
  { page: "apps", name: "apps", icon: "apps", component: Apps },
  { page: "users", name: "users", icon: "users", component: Users, role: "administrator" },
  { page: "tag", name: "value", icon: "trends", component: TagPage, hidden: true },
];
