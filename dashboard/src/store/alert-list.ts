// Alerts by a filter: the open ones as every page knows them, the older ones page by page from the gateway.
import { type Accessor, createEffect, createMemo, createSignal, on } from "solid-js";
import type { Alert } from "../generated/protocol";
import type { App } from "./app";
import { beginningOf, type Cursors, readPages } from "./pages";

/** Alerts that are read at a time, and shown: each row that changes has all of them laid out. */
const pageSize = 100;

/** Which alerts to show; empty for any. */
export interface AlertFilter {
  readonly state: string;
  readonly severity: string;
  readonly device: string;
}

/** The list, and how more of it is had. */
export interface AlertList {
  readonly alerts: Accessor<readonly Alert[]>;
  /** Their ids, in order: what rows are told apart by, so that one stays while its alert changes. */
  readonly ids: Accessor<readonly string[]>;
  readonly get: (id: string) => Alert | undefined;
  readonly isRead: Accessor<boolean>;
  readonly problem: Accessor<string | null>;
  readonly hasMore: Accessor<boolean>;
  readonly more: () => void;
}

/** Follows a filter; what comes live takes the place of what was read. `open` is a state of the page's own: not cleared. */
export function createAlertList(app: App, filter: Accessor<AlertFilter>): AlertList {
  const [older, setOlder] = createSignal<readonly Alert[]>([]);
  const [next, setNext] = createSignal<Cursors>(new Map());
  const [shownMax, setShownMax] = createSignal(pageSize);
  const [isRead, setRead] = createSignal(false);
  const [problem, setProblem] = createSignal<string | null>(null);
  let asked = 0;
  /** Reads a page of each list; gives whether that went well. */
  const load = async (from: Cursors) => {
    asked += 1;
    const mine = asked;
    const wanted = filter();
    const read = await readPages(from, (state, cursor) =>
      app.api.alertPage({ ...wanted, state }, cursor, pageSize),
    );
    if (mine !== asked) return false;
    setProblem(read.kind === "ok" ? null : read.message);
    if (read.kind !== "ok") return false;
    setOlder((before) => [...before, ...read.value.items]);
    setNext(read.value.next);
    setRead(true);
    return true;
  };
  /** Whether each open one is known already: of very many the page is told the newest. */
  const knowsOpen = createMemo(() => {
    const { items, active, acknowledged } = app.alerts();
    return items.filter(({ state }) => state !== "cleared").length >= active + acknowledged;
  });
  createEffect(
    on([filter, app.isLive, knowsOpen], ([{ state }, isLive, knowsOpen]) => {
      asked += 1;
      setOlder([]);
      setNext(new Map());
      setShownMax(pageSize);
      if (!isLive || (state === "open" && knowsOpen)) return;
      void load(beginningOf(state === "open" ? ["active", "acknowledged"] : [state]));
    }),
  );
  const keep = createKeeper();
  const all = createMemo(() => {
    const byId = new Map(older().map((alert) => [alert.id, alert]));
    for (const alert of app.alerts().items) byId.set(alert.id, alert);
    const passing = [...byId.values()].filter((alert) => passes(alert, filter()));
    return keep(passing.sort((a, b) => b.raised_at - a.raised_at || (a.id < b.id ? 1 : -1)));
  });
  /** What the page was told already fills the first pages: it goes on to one that has others. */
  const readOn = async () => {
    while (all().length < shownMax() && next().size > 0) if (!(await load(next()))) return;
  };
  const alerts = createMemo(() => all().slice(0, shownMax()));
  const byId = createMemo(() => new Map(alerts().map((alert) => [alert.id, alert])));
  return {
    alerts,
    ids: createMemo(() => alerts().map(({ id }) => id)),
    get: (id) => byId().get(id),
    isRead: () => (filter().state === "open" ? app.alerts().isKnown : isRead()),
    problem: () => problem() ?? app.alerts().problem,
    hasMore: () => all().length > shownMax() || next().size > 0,
    more: () => {
      setShownMax((max) => max + pageSize);
      void readOn();
    },
  };
}

/** Each patch has all alerts anew: those that are the same stay the same object, so that their rows stay too. */
function createKeeper(): (alerts: readonly Alert[]) => readonly Alert[] {
  let kept = new Map<string, { text: string; alert: Alert }>();
  return (alerts) => {
    const next = new Map<string, { text: string; alert: Alert }>();
    for (const alert of alerts) {
      const [text, known] = [JSON.stringify(alert), kept.get(alert.id)];
      next.set(alert.id, known?.text === text ? known : { text, alert });
    }
    kept = next;
    return [...kept.values()].map(({ alert }) => alert);
  };
}

/** Whether an alert is one of those. */
export function passes(alert: Alert, { state, severity, device }: AlertFilter): boolean {
  if (state === "open" ? alert.state === "cleared" : state !== "" && alert.state !== state) return false;
  return (severity === "" || alert.severity === severity) && (device === "" || alert.device === device);
}
