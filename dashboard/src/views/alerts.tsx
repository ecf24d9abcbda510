// What devices have raised: who knows of it, and what is over.
import { createMemo, createSignal, Show } from "solid-js";
import { Check, FilterField } from "../parts/fields";
import { Problem, unread } from "../parts/problem";
import { Segments } from "../parts/segments";
import { type AlertFilter, createAlertList } from "../store/alert-list";
import { useApp } from "../store/app";
import { AlertRows } from "./alert-row";

const states = [
  ["open", "open"],
  ["active", "active"],
  ["acknowledged", "acknowledged"],
  ["cleared", "cleared"],
  ["all", "all"],
] as const;
const severities = [
  ["", "any"],
  ["info", "info"],
  ["warning", "warning"],
  ["critical", "critical"],
] as const;

/** The list, its filters, and how alerts are told aloud. */
export default function AlertsPage() {
  const app = useApp();
  const { query, setQuery } = app.place;
  const filter = createMemo<AlertFilter>(() => {
    const state = query().state ?? "open";
    return {
      state: state === "all" ? "" : state,
      severity: query().severity ?? "",
      device: query().device ?? "",
    };
  });
  const list = createAlertList(app, filter);
  const active = () => list.alerts().filter(({ state }) => state === "active");
  return (
    <div class="page" data-testid="alerts-page">
      <div class="page-head">
        <h1>Alerts</h1>
        <p class="muted num" data-testid="alerts-summary">
          {app.alerts().active} active, {app.alerts().acknowledged} acknowledged
          <Show when={app.alerts().isFull}>, more than this page holds</Show>
        </p>
        <span class="grow" />
        <AlarmChoice />
      </div>
      <search class="toolbar">
        <Segments
          name="state"
          legend="State"
          testid="alert-state"
          value={query().state ?? "open"}
          choices={states}
          choose={(state) => setQuery({ state: state === "open" ? "" : state })}
        />
        <Segments
          name="severity"
          legend="Severity"
          testid="alert-severity"
          value={query().severity ?? ""}
          choices={severities}
          choose={(severity) => setQuery({ severity })}
        />
        <FilterField
          label="Device"
          testid="alert-device"
          value={query().device ?? ""}
          set={(device) => setQuery({ device })}
        />
        <span class="grow" />
        <Show when={active().length > 1}>
          <AcknowledgeAll ids={active().map(({ id }) => id)} />
        </Show>
      </search>
      <Problem text={unread("The alerts", list.problem())} notice>
        <button type="button" onClick={() => app.client.tell({ kind: "loadAlerts" })}>
          Read them again
        </button>
      </Problem>
      <ul class="card list values alerts" data-testid="alerts">
        <AlertRows
          list={list}
          withDevice
          none={<li class="empty">{list.isRead() ? "There is none." : "Waiting for the list …"}</li>}
        />
      </ul>
      <Show when={list.hasMore()}>
        <button type="button" class="more-button" onClick={() => list.more()}>
          Show older ones
        </button>
      </Show>
    </div>
  );
}

function AcknowledgeAll(props: { ids: readonly string[] }) {
  const app = useApp();
  const [left, setLeft] = createSignal(0);
  const [failed, setFailed] = createSignal<string | null>(null);
  const all = async () => {
    setFailed(null);
    // Those that are in sight now; what is raised meanwhile has not been seen.
    const ids = [...props.ids];
    for (const [index, id] of ids.entries()) {
      setLeft(ids.length - index);
      const read = await app.api.acknowledge(id);
      if (read.kind === "ok" || read.status === 409) continue;
      setFailed(read.message);
      // A gateway that does not answer is not asked for each of hundreds.
      if (read.status === null) break;
    }
    setLeft(0);
  };
  return (
    <>
      <Problem text={failed()} />
      <button
        type="button"
        data-testid="alert-ack-all"
        disabled={left() > 0 || !app.canAct()}
        onClick={() => void all()}
      >
        {left() > 0 ? `${left()} left …` : `Acknowledge these ${props.ids.length}`}
      </button>
    </>
  );
}

function AlarmChoice() {
  const { alarms } = useApp();
  return (
    <fieldset class="alarm-choice">
      <legend class="sr-only">New alerts</legend>
      <Check label="Sound" testid="alarm-sound" value={alarms.hasSound()} set={alarms.setSound} />
      <Check
        label={
          alarms.notices() === "blocked"
            ? "Browser notification (blocked in the browser)"
            : "Browser notification"
        }
        testid="alarm-notices"
        value={alarms.notices() === "on"}
        disabled={alarms.notices() === "blocked"}
        set={(on) => void alarms.setNotices(on)}
      />
    </fieldset>
  );
}
