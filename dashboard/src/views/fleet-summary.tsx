// The fleet and the gateway in a few numbers.
import { type JSX, Show } from "solid-js";
import { useApp } from "../store/app";
import { formatBytes, formatRate } from "../text/number";
import { formatAgo } from "../text/time";

/** The numbers, from the gateway's own statistics. */
export function FleetSummary() {
  const app = useApp();
  const number = (pick: (stats: NonNullable<ReturnType<typeof app.stats>>) => number) => {
    const stats = app.stats();
    return stats === null ? "–" : formatRate(pick(stats));
  };
  return (
    <>
      <section class="tiles values" aria-label="Summary" data-testid="summary">
        <Tile name="Devices online" testid="devices-online">
          {number((stats) => stats.devices_online)}
          <small> of {number((stats) => stats.devices_known)}</small>
        </Tile>
        <Tile name="Messages" testid="messages-per-s">
          {number((stats) => stats.messages_in_per_s)}
          <small> /s</small>
        </Tile>
        <Tile name="Deliveries" testid="deliveries-per-s">
          {number((stats) => stats.deliveries_per_s)}
          <small> /s</small>
        </Tile>
        <Tile name="Open commands" testid="commands-open">
          {number((stats) => stats.commands_open)}
        </Tile>
        <Tile name="Slow consumers" testid="lagging-connections">
          {number((stats) => stats.lagging_connections)}
          <small> of {number((stats) => stats.websocket_connections)}</small>
        </Tile>
        <Tile name="Gateway" testid="gateway">
          <Show when={app.stats()} fallback="–">
            {(stats) => (
              <>
                {formatAgo(stats().uptime_ms)}
                <small>
                  {" "}
                  up · {formatBytes(stats().memory_bytes)} · {stats().version}
                </small>
              </>
            )}
          </Show>
        </Tile>
      </section>
      <Show when={app.isNarrowed()}>
        <p class="hint" data-testid="summary-whole">
          These numbers are of the whole gateway; below is what your token shows.
        </p>
      </Show>
    </>
  );
}

function Tile(props: { name: string; testid: string; children: JSX.Element }) {
  return (
    <dl class="tile">
      <dt>{props.name}</dt>
      <dd class="num" data-testid={props.testid}>
        <span class="text-box">{props.children}</span>
      </dd>
    </dl>
  );
}
