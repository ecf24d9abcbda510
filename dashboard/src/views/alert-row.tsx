// Alerts: what each is, since when, and who knows.
import { createSignal, For, type JSX, Show } from "solid-js";
import type { Read } from "../api";
import type { Alert } from "../generated/protocol";
import { AlertMark } from "../parts/alert-mark";
import { Moment } from "../parts/moment";
import { Problem } from "../parts/problem";
import { commandHref, deviceHref } from "../router";
import type { AlertList } from "../store/alert-list";
import { useApp } from "../store/app";
import { actorText, describeRead } from "../text/command";
import { formatAgo } from "../text/time";

/** A row for each of a list; `withDevice` where it is of several devices, `none` in place of the rows. */
export function AlertRows(props: { list: AlertList; withDevice: boolean; none: JSX.Element }) {
  return (
    <For each={props.list.ids()} fallback={props.none}>
      {(id) => (
        <Show when={props.list.get(id)}>
          {(alert) => <AlertRow alert={alert()} withDevice={props.withDevice} />}
        </Show>
      )}
    </For>
  );
}

function AlertRow(props: { alert: Alert; withDevice: boolean }) {
  const app = useApp();
  const [isAsking, setAsking] = createSignal(false);
  const [problem, setProblem] = createSignal<string | null>(null);
  /** What it came to is heard on the alert's channel, in every open page. */
  const ask = async (asked: Promise<Read<Alert>>) => {
    setAsking(true);
    const read = await asked;
    setAsking(false);
    setProblem(describeRead(read));
  };
  const isOff = () => isAsking() || !app.canAct();
  return (
    <li
      class="alert"
      data-testid="alert"
      data-alert={props.alert.id}
      data-device={props.alert.device}
      data-state={props.alert.state}
      data-severity={props.alert.severity}
    >
      <AlertMark severity={props.alert.severity} named />
      <div class="alert-what">
        <p>
          <Show when={props.withDevice}>
            <a href={deviceHref(props.alert.device, { tab: "events" })}>{props.alert.device}</a>{" "}
          </Show>
          <b>{props.alert.message || props.alert.code}</b>{" "}
          <Show when={props.alert.message !== ""}>
            <span class="mono muted">{props.alert.code}</span>
          </Show>
          <Show when={props.alert.count > 1}>
            <span class="chip quiet-chip num" title="How often it was raised">
              × {props.alert.count}
            </span>
          </Show>
        </p>
        <Show when={membersOf(props.alert.data).length > 0}>
          <p class="muted alert-data">
            <For each={membersOf(props.alert.data)}>
              {([name, value]) => (
                <span>
                  {name}{" "}
                  <Show when={isCommand(props.alert, name)} fallback={<span class="mono">{value}</span>}>
                    <a href={commandHref(value)}>its story</a>
                  </Show>
                </span>
              )}
            </For>
          </p>
        </Show>
        <Problem text={problem()} />
      </div>
      <div class="alert-when muted">
        <span>
          raised <Moment at={props.alert.raised_at} now={app.now()} />
          <Show when={props.alert.state !== "cleared"}>
            <span class="num"> · {formatAgo(app.now() - props.alert.raised_at)}</span>
          </Show>
        </span>
        <Show when={props.alert.acknowledged_at}>
          {(at) => (
            <span>
              {props.alert.acknowledged_by ?? "somebody"} knows since <Moment at={at()} now={app.now()} />
            </span>
          )}
        </Show>
        <Show when={props.alert.cleared_at}>
          {(at) => (
            <span>
              cleared{clearedBy(props.alert)} <Moment at={at()} now={app.now()} />
            </span>
          )}
        </Show>
      </div>
      <span class="alert-act">
        <Show when={props.alert.state !== "active"}>
          <span class="badge">{props.alert.state}</span>
        </Show>
        <Show when={props.alert.state === "active"}>
          <button
            type="button"
            data-testid="alert-ack"
            disabled={isOff()}
            onClick={() => void ask(app.api.acknowledge(props.alert.id))}
          >
            Acknowledge
          </button>
        </Show>
        <Show when={props.alert.state !== "cleared"}>
          <button
            type="button"
            class="quiet"
            data-testid="alert-clear"
            disabled={isOff()}
            title="It is over, whether the device says so or not"
            onClick={() => void ask(app.api.clearAlert(props.alert.id))}
          >
            Clear
          </button>
        </Show>
      </span>
    </li>
  );
}

/** That a device clears its own alerts goes without saying. */
function clearedBy({ cleared_by }: Alert): string {
  return cleared_by === null || cleared_by === "device" ? "" : ` by ${actorText(cleared_by)}`;
}

/** What it tells besides, without what is empty. */
function membersOf(data: unknown): [name: string, value: string][] {
  if (typeof data !== "object" || data === null) return [];
  return Object.entries(data)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
}

/** The gateway raises alerts of its own for commands that went wrong, and names them. */
function isCommand({ code }: Alert, name: string): boolean {
  return name === "command" && code.startsWith("command_");
}
