// Who is signed in, and what that person may do.
import { api, whenSignedOut } from "./api";
import type { Me, RoleName } from "./types";

export const ROLES: RoleName[] = ["viewer", "operator", "engineer", "administrator"];

class Session {
  /** undefined: not known yet; null: nobody. */
  me = $state.raw<Me | null | undefined>(undefined);

  may(role: RoleName): boolean {
    return !!this.me && ROLES.indexOf(this.me.role) >= ROLES.indexOf(role);
  }

  async ask() {
    try {
      this.me = await api.me();
    } catch {
      this.me = null;
    }
  }
}

export const session = new Session();
whenSignedOut(() => (session.me = null));
