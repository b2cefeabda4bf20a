// What the centre is asked and told, beside what every console knows.
import { file, get, one, post, put } from "../api";
import type * as T from "./types";

export const centre = {
  overall: () => get<T.Overall>("centre"),
  fleet: () => get<T.Fleet>("fleet"),
  folders: () => get<T.Folder[]>("fleet/folders"),
  invite: (node: string, plant: string) => post<{ token: string; command: string }>("fleet/invite", { node, plant }),
  removeNode: (node: string, why: string) => post<unknown>("fleet/remove", { node, why }),
  order: (node: string, what: string, options: Record<string, unknown> = {}) => post<{ id: string }>("fleet/order", { node, what, options }),
  answer: (id: string) => get<{ answer: unknown }>(`fleet/answer/${one(id)}`),
  configure: (node: string, hash: string) => post<unknown>("fleet/configuration", { node, hash }),

  models: () => get<T.Models>("models"),
  rollouts: () => get<T.Rollout[]>("rollouts"),
  startRollout: (plan: object) => post<T.Rollout>("rollouts", plan),
  turnRollout: (id: string, how: T.Turn, why: string) => post<unknown>(`rollouts/${one(id)}/${how}`, { why }),

  placement: () => get<T.Placement>("placement"),

  tenants: () => get<{ tenants: T.Tenant[] }>("tenants"),
  addTenant: (name: string, title: string) => post<unknown>("tenants", { name, title }),
  addKey: (tenant: string, scopes: string[], models: string[]) => post<{ key: string }>(`tenants/${one(tenant)}/keys`, { scopes, models }),
  revokeKey: (tenant: string, id: string) => post<unknown>(`tenants/${one(tenant)}/keys/${one(id)}/revoke`),
  setQuota: (tenant: string, quota: T.Quota) => put<unknown>(`tenants/${one(tenant)}/quota`, quota),
  usage: (tenant: string, from: string, to: string) => get<T.Usage>(`tenants/${one(tenant)}/usage?from=${from}&to=${to}`),
  invoice: (tenant: string, month: string) => file(`tenants/${one(tenant)}/invoice?month=${month}`),
};
