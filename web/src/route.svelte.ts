// Where a person is: the fragment of the address, e.g. #/trends?tags=a,b&span=1h. Every place is a link that can be sent.

class Route {
  path = $state<string[]>([]);
  query = $state<Record<string, string>>({});

  constructor() {
    this.read();
    addEventListener("hashchange", () => this.read());
  }

  private read() {
    const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
    this.path = path.split("/").filter(Boolean).map(decodeURIComponent);
    this.query = Object.fromEntries(new URLSearchParams(query));
  }

  /** The first part: which page. */
  get page(): string {
    return this.path[0] ?? "";
  }

  /** What follows the page's name. */
  get rest(): string {
    return this.path.slice(1).join("/");
  }
}

export const route = new Route();

/** The fragment of a page; `rest` may hold slashes. */
export function to(page: string, rest = "", query: Record<string, string | number> = {}): string {
  const path = [page, ...rest.split("/")].filter(Boolean).map(encodeURIComponent).join("/");
  const asked = new URLSearchParams(Object.entries(query).map(([k, v]) => [k, String(v)])).toString();
  return `#/${path}${asked ? `?${asked}` : ""}`;
}

/** Goes to a fragment; `replace` leaves no step behind for the back button. */
export function go(fragment: string, replace = false) {
  if (replace) {
    history.replaceState(null, "", fragment);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = fragment;
  }
}
