// What a device has raised.
import { createMemo, Show } from "solid-js";
import { Problem, unread } from "../parts/problem";
import { createAlertList } from "../store/alert-list";
import { useApp } from "../store/app";
import { AlertRows } from "./alert-row";

/** Its alerts, open and over. */
export function DeviceEvents(props: { id: string }) {
  const app = useApp();
  const filter = createMemo(() => ({ state: "", severity: "", device: props.id }));
  const list = createAlertList(app, filter);
  return (
    <section class="card" aria-labelledby="events-title" data-testid="device-events">
      <h2 id="events-title">Events</h2>
      <Problem text={unread("They", list.problem())} />
      <ul class="list values alerts">
        <AlertRows
          list={list}
          withDevice={false}
          none={<li class="muted">{list.isRead() ? "It has raised none." : "Waiting for the list …"}</li>}
        />
      </ul>
      <Show when={list.hasMore()}>
        <button type="button" onClick={() => list.more()}>
          Show older ones
        </button>
      </Show>
    </section>
  );
}
