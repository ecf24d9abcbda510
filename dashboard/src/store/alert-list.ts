// Alerts by a filter: the open ones as every page knows them, the older ones page by page from the gateway.
import { type Accessor, createEffect, createMemo, createSignal, on } from "solid-js";
import type { Alert } from "../generated/protocol";
import type { App } from "./app";

/** Alerts that are read at a time. */
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
  readonly isRead: Accessor<boolean>;
  readonly problem: Accessor<string | null>;
  readonly hasMore: Accessor<boolean>;
  readonly more: () => void;
}

/** Follows a filter; what comes live takes the place of what was read. `open` is a state of the page's own: not cleared. */
export function createAlertList(app: App, filter: Accessor<AlertFilter>): AlertList {
  const [older, setOlder] = createSignal<readonly Alert[]>([]);
  const [cursor, setCursor] = createSignal<string | null>(null);
  const [isRead, setRead] = createSignal(false);
  const [problem, setProblem] = createSignal<string | null>(null);
  let asked = 0;
  const load = async (from: string | null) => {
    asked += 1;
    const mine = asked;
    const { state, severity, device } = filter();
    const wanted = { state: state === "open" ? "" : state, severity, device };
    const read = await app.api.alertPage(wanted, from, pageSize);
    if (mine !== asked) return;
    setProblem(read.kind === "ok" ? null : read.message);
    if (read.kind !== "ok") return;
    setOlder((before) => (from === null ? read.value.items : [...before, ...read.value.items]));
    setCursor(read.value.next);
    setRead(true);
  };
  createEffect(
    on([filter, app.isLive], ([wanted, isLive]) => {
      asked += 1;
      setOlder([]);
      setCursor(null);
      // What is open is known already.
      if (isLive && wanted.state !== "open") void load(null);
    }),
  );
  const alerts = createMemo(() => {
    const byId = new Map(older().map((alert) => [alert.id, alert]));
    for (const alert of app.alerts().items) byId.set(alert.id, alert);
    const passing = [...byId.values()].filter((alert) => passes(alert, filter()));
    return passing.sort((a, b) => b.raised_at - a.raised_at || (a.id < b.id ? 1 : -1));
  });
  return {
    alerts,
    isRead: () => (filter().state === "open" ? app.alerts().isKnown : isRead()),
    problem: () => problem() ?? app.alerts().problem,
    hasMore: () => cursor() !== null,
    more: () => void load(cursor()),
  };
}

/** Whether an alert is one of those. */
export function passes(alert: Alert, { state, severity, device }: AlertFilter): boolean {
  if (state === "open" ? alert.state === "cleared" : state !== "" && alert.state !== state) return false;
  return (severity === "" || alert.severity === severity) && (device === "" || alert.device === device);
}
