// The typed client of the API. Every failure is a `Failure` that says what, where and what to do, in both languages.
import type * as T from "./types";

export class Failure extends Error {
  constructor(
    readonly status: number,
    readonly what: T.Text,
    readonly where: string,
    readonly todo: T.Text,
  ) {
    super(what.en);
  }
}

const UNREACHABLE = {
  node: [
    { en: "the node does not answer", zh: "节点无应答" },
    { en: "check the network and that `ronghe up` runs", zh: "请检查网络，并确认 `ronghe up` 正在运行" },
  ],
  centre: [
    { en: "the centre does not answer", zh: "中心无应答" },
    { en: "check the network and that `ronghe cloud up` runs", zh: "请检查网络，并确认 `ronghe cloud up` 正在运行" },
  ],
} satisfies Record<T.Session["of"], [T.Text, T.Text]>;

let behind: T.Session["of"] = "node";

/** What is meant by "no answer" from now on. */
export function isBehind(of: T.Session["of"]) {
  behind = of;
}

let onSignedOut = () => {};

/** Calls back whenever an answer says that nobody is signed in any more. */
export function whenSignedOut(call: () => void) {
  onSignedOut = call;
}

/** Asks the node or the centre; a Blob is sent as it is, anything else as JSON. Throws Failure. */
async function ask(method: string, path: string, body: unknown, timeout: number): Promise<Response> {
  const kind = body instanceof Blob ? body.type || "application/octet-stream" : "application/json";
  let answer: Response;
  try {
    answer = await fetch(`api/${path}`, {
      method,
      headers: { "X-Ronghe": "1", ...(body === undefined ? {} : { "Content-Type": kind }) },
      body: body === undefined || body instanceof Blob ? body : JSON.stringify(body),
      credentials: "same-origin",
      signal: AbortSignal.timeout(timeout),
    });
  } catch {
    const [what, todo] = UNREACHABLE[behind];
    throw new Failure(0, what, "", todo);
  }
  if (answer.ok) return answer;
  const told = (await answer.json().catch(() => null)) as { what: T.Text; where: string; todo: T.Text } | null;
  if (answer.status === 401 && path !== "session") onSignedOut();
  const blank = { en: `HTTP ${answer.status}`, zh: `HTTP ${answer.status}` };
  throw new Failure(answer.status, told?.what ?? blank, told?.where ?? "", told?.todo ?? { en: "", zh: "" });
}

async function request<Answer>(method: string, path: string, body?: unknown, timeout = 20_000): Promise<Answer> {
  const answer = await ask(method, path, body, timeout);
  return answer.status === 204 ? (undefined as Answer) : ((await answer.json()) as Answer);
}

export const get = <A>(path: string) => request<A>("GET", path);
export const post = <A>(path: string, body: unknown = {}) => request<A>("POST", path, body);
export const file = async (path: string) => (await ask("GET", path, undefined, 60_000)).blob();
export const put = <A>(path: string, body: unknown) => request<A>("PUT", path, body);
export const one = encodeURIComponent;

export type Args = Record<string, string | number>;
const verb = (app: string, name: string, args: Args) =>
  `apps/${one(app)}/ask/${one(name)}?${new URLSearchParams(Object.entries(args).map(([k, v]) => [k, String(v)]))}`;

export const api = {
  me: () => get<T.Me>("me"),
  session: () => get<T.Session>("session"),
  signIn: (name: string, password: string) => post<T.Me>("session", { name, password }),
  signOut: () => request<void>("DELETE", "session"),
  lookAtLink: (token: string) => post<{ name: string }>("link", { token }),
  useLink: (token: string, name: string, password: string) => post<T.Me>("link/use", { token, name, password }),
  changePassword: (old: string, new_: string) => post<T.Me>("me/password", { old, new: new_ }),

  plant: () => get<T.Plant>("plant"),
  dictionary: () => get<T.DictionaryEntry[]>("dictionary"),
  trend: (tags: string[], from: number, to: number, points: number) =>
    get<T.Trend>(`trend?tags=${one(tags.join(","))}&from=${Math.round(from)}&to=${Math.round(to)}&points=${points}`),
  connections: () => get<T.Connections>("connections"),
  apps: () => get<T.AppView[]>("apps"),
  /** What a page that an app brings asks of its app, and tells it. */
  ask: <A>(app: string, name: string, args: Args = {}) => get<A>(verb(app, name, args)),
  tell: <A>(app: string, name: string, body: unknown = {}) => post<A>(verb(app, name, {}), body),
  send: <A>(app: string, name: string, args: Args, picture: Blob) => request<A>("POST", verb(app, name, args), picture, 60_000),
  /** A picture of the app's, as a whole; its address for an <img> that may come late is `pictureAt`. */
  picture: async (app: string, name: string, args: Args) => (await ask("GET", verb(app, name, args), undefined, 20_000)).blob(),
  pictureAt: (app: string, name: string, args: Args) => `api/${verb(app, name, args)}`,

  alarms: () => get<T.AlarmList>("alarms"),
  acknowledge: (key: string) => post<T.Alarm>("alarms/acknowledge", { key }),
  shelve: (key: string, minutes: number, why: string) => post<T.Alarm>("alarms/shelve", { key, minutes, why }),
  unshelve: (key: string) => post<T.Alarm>("alarms/unshelve", { key }),

  cases: () => get<T.Cases>("cases"),
  approve: (id: string) => post<T.Case>(`cases/${one(id)}/approve`),
  reject: (id: string, why: string) => post<T.Case>(`cases/${one(id)}/reject`, { why }),
  kill: (why: string) => post<{ killed: string }>("kill", { why }),
  release: (why: string) => post<{ killed: string }>("kill/release", { why }),

  autonomy: (from: number, to: number) => get<T.Autonomy>(`autonomy?from=${from}&to=${to}`),
  switchMode: (tag: string, mode: T.Mode, why: string) => post<unknown>("autonomy/switch", { tag, mode, why }),

  ledger: (before: number, count: number, without = "") => get<T.Ledger>(`ledger?before=${before}&count=${count}&without=${without}`),
  verify: () => request<T.Verification>("GET", "ledger/verify", undefined, 120_000),

  users: () => get<T.Person[]>("users"),
  addUser: (name: string, role: T.RoleName) => post<T.Link>("users", { name, role }),
  setRole: (name: string, role: T.RoleName) => request<T.Person>("PATCH", `users/${one(name)}`, { role }),
  removeUser: (name: string) => request<void>("DELETE", `users/${one(name)}`),
  userLink: (name: string) => post<T.Link>(`users/${one(name)}/link`),
};
