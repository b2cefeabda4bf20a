// The pages of the centre's console, in the order of the menu.
import type { Place } from "../places";
import Ledger from "../pages/Ledger.svelte";
import Users from "../pages/Users.svelte";
import Fleet from "./pages/Fleet.svelte";
import Models from "./pages/Models.svelte";
import Node from "./pages/Node.svelte";
import Placement from "./pages/Placement.svelte";
import Tenants from "./pages/Tenants.svelte";

export const PLACES: Place[] = [
  { page: "", name: "fleet", icon: "plant", component: Fleet },
  { page: "models", name: "models_place", icon: "apps", component: Models },
  { page: "placement", name: "placement", icon: "connections", component: Placement },
  { page: "tenants", name: "tenants", icon: "person", component: Tenants },
  { page: "ledger", name: "ledger", icon: "ledger", component: Ledger },
  { page: "users", name: "users", icon: "users", component: Users, role: "administrator" },
  { page: "node", name: "node", icon: "plant", component: Node, hidden: true },
];
