// The factory on paper, fetched once a run of the node, and again when an app brings a new computed tag.
import { api } from "./api";
import type { Equipment, Plant, Tag } from "./types";

class Factory {
  now = $state.raw<Plant | null>(null);
  private tags = $derived(new Map((this.now?.tags ?? []).map((t) => [t.tag, t])));
  private nodes = $derived(new Map((this.now?.equipment ?? []).map((e) => [e.path, e])));

  async load() {
    this.now = await api.plant();
  }

  tag(name: string): Tag | undefined {
    return this.tags.get(name);
  }

  equipment(path: string): Equipment | undefined {
    return this.nodes.get(path);
  }

  /** What lies directly below a path; the top for an empty one. */
  below(path: string): Equipment[] {
    return (this.now?.equipment ?? []).filter((e) => e.parent === path);
  }

  /** The tags at or below an equipment. */
  under(path: string): Tag[] {
    return (this.now?.tags ?? []).filter((t) => !t.app && (!path || t.equipment === path || t.equipment.startsWith(`${path}/`)));
  }

  /** The equipment that have tags of their own: what a person thinks of as a machine. */
  machines(): Equipment[] {
    return (this.now?.equipment ?? []).filter((e) => e.tags.length > 0);
  }
}

export const plant = new Factory();

/** Whether a trend of the tag says anything: a text has none, and of a picture there is only its number. */
export function drawn(tag: Tag | undefined): boolean {
  return !!tag && tag.type !== "text" && tag.type !== "image";
}
