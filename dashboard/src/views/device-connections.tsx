// When a device came and went, as far as the gateway remembers.
import { createEffect, createMemo, createSignal, For, on, Show } from "solid-js";
import type { Presence, Update } from "../generated/protocol";
import { Moment } from "../parts/moment";
import { PresenceMark, reasonTexts } from "../parts/presence";
import { useApp } from "../store/app";
import { formatDuration } from "../text/time";

/** Comings and goings that are asked for. */
const asked = 100;

/** The list, the newest first, each with how long it lasted. */
export function DeviceConnections(props: { id: string }) {
  const app = useApp();
  const [past, setPast] = createSignal<readonly Presence[] | null>(null);
  const presence = () => app.devices.get(props.id)?.read().presence;
  const latest = createMemo(() => `${presence()?.since} ${presence()?.reason}`);
  const isLive = createMemo(app.isLive);
  createEffect(
    on([latest, isLive], ([, isLive]) => {
      if (!isLive) return;
      void app.client.recall(`presence/${props.id}`, asked).then((updates) => setPast(newestFirst(updates)));
    }),
  );
  const lasted = (index: number) => {
    const [one, next] = [past()?.[index], past()?.[index - 1]];
    return one === undefined ? 0 : (next?.since ?? app.now()) - one.since;
  };
  return (
    <section class="card" aria-labelledby="connections-title" data-testid="device-connections">
      <h2 id="connections-title">Connections</h2>
      <Show when={past()} fallback={<p class="muted">Waiting for the list …</p>}>
        {(items) => (
          <table class="plain dense values">
            <thead>
              <tr>
                <th scope="col">Status</th>
                <th scope="col">Since</th>
                <th scope="col" class="end">
                  For
                </th>
                <th scope="col">Because</th>
                <th scope="col" class="wide-only">
                  From
                </th>
              </tr>
            </thead>
            <tbody>
              <For each={items()} fallback={<Nothing />}>
                {(one, index) => (
                  <tr data-testid="connection-row" data-status={one.status} data-reason={one.reason}>
                    <td>
                      <PresenceMark status={one.status} />
                    </td>
                    <td>
                      <Moment at={one.since} now={app.now()} />
                    </td>
                    <td class="end num">{formatDuration(lasted(index()))}</td>
                    <td>{reasonTexts[one.reason]}</td>
                    <td class="mono muted wide-only">
                      {[one.protocol, one.address].filter(Boolean).join(" · ")}
                    </td>
                  </tr>
                )}
              </For>
            </tbody>
          </table>
        )}
      </Show>
      <p class="hint">As far back as the gateway keeps updates of presence.</p>
    </section>
  );
}

function Nothing() {
  return (
    <tr>
      <td class="muted" colspan="5">
        It has not been seen.
      </td>
    </tr>
  );
}

function newestFirst(updates: readonly Update[]): Presence[] {
  return updates.map(({ data }) => data as Presence).reverse();
}
