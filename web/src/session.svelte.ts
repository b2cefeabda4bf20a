// What stands behind this page, who is signed in, and what that person may do.
import { api, isBehind, whenSignedOut } from "./api";
import type { Me, RoleName, Session as Told } from "./types";

export const ROLES: RoleName[] = ["viewer", "operator", "engineer", "administrator"];

class Session {
  /** undefined: not known yet; null: nobody. */
  me = $state.raw<Me | null | undefined>(undefined);
  of = $state.raw<Told["of"]>("node");

  may(role: RoleName): boolean {
    return !!this.me && ROLES.indexOf(this.me.role) >= ROLES.indexOf(role);
  }

  async ask() {
    try {
      ({ of: this.of, me: this.me } = await api.session());
      isBehind(this.of);
    } catch {
      this.me = null;
    }
  }
}

export const session = new Session();
whenSignedOut(() => (session.me = null));
