// The gateway itself, and this page's connection to it.
import { For, Index, Show } from "solid-js";
import type { GatewayStats } from "../generated/protocol";
import { connectionFacts } from "../parts/connection";
import { createInView } from "../parts/in-view";
import { useApp } from "../store/app";
import { formatBytes, formatRate } from "../text/number";
import { formatDuration } from "../text/time";
import { Chart, ChartPlace } from "./charts-lazy";
import { GatewayMetrics } from "./gateway-metrics";

/** How far back the charts go. */
const spanMs = 600_000;

interface Figure {
  readonly title: string;
  readonly testid: string;
  readonly pick: (stats: GatewayStats) => number;
  readonly write: (value: number) => string;
  /** Digits in the chart. */
  readonly decimals: number;
}

const mebibyte = 1_048_576;
const figures: readonly Figure[] = [
  figure("Messages in, a second", "messages-in", (stats) => stats.messages_in_per_s),
  figure("Deliveries, a second", "deliveries", (stats) => stats.deliveries_per_s),
  figure("Devices online", "online", (stats) => stats.devices_online),
  figure("MQTT connections", "mqtt", (stats) => stats.mqtt_connections),
  figure("WebSocket connections", "websocket", (stats) => stats.websocket_connections),
  figure("Open commands", "commands", (stats) => stats.commands_open),
  figure("Waiting to be stored", "pending", (stats) => stats.store.pending_updates),
  figure("Slow consumers", "lagging", (stats) => stats.lagging_connections),
  figure("Updates merged for slow ones", "dropped", (stats) => stats.dropped_updates),
  {
    ...figure("Memory, MiB", "memory", (stats) => stats.memory_bytes / mebibyte),
    write: (value) => formatBytes(value * mebibyte),
    decimals: 1,
  },
];

/** Figures, their last minutes, and all that is measured. */
export default function GatewayPage() {
  const app = useApp();
  return (
    <div class="page" data-testid="gateway-page">
      <div class="page-head">
        <h1>Gateway</h1>
        <Show when={app.stats()}>
          {(stats) => (
            <p class="muted num" data-testid="gateway-version">
              version {stats().version} · up {formatDuration(stats().uptime_ms)}
            </p>
          )}
        </Show>
      </div>
      <div class="charts values">
        <For each={figures}>{(shown) => <FigureChart figure={shown} />}</For>
      </div>
      <div class="gateway-parts">
        <Facts title="The gateway" testid="gateway-facts" facts={gatewayFacts(app.stats())} />
        <Facts
          title="This page's connection"
          testid="connection-facts"
          facts={connectionFacts(app.state(), app.health())}
        />
      </div>
      <GatewayMetrics />
    </div>
  );
}

function FigureChart(props: { figure: Figure }) {
  const app = useApp();
  const now = () => {
    const stats = app.stats();
    return stats === null ? "–" : props.figure.write(props.figure.pick(stats));
  };
  const series = () => {
    app.statsPast.version();
    return app.statsPast.series(props.figure.pick);
  };
  const [isInView, see] = createInView();
  const until = () => Math.max(app.now(), series().times.at(-1) ?? 0);
  const from = () => Math.max(until() - spanMs, Math.min(series().times[0] ?? until(), until() - 60_000));
  return (
    <figure class="card chart-card" data-testid={`figure-${props.figure.testid}`} ref={see}>
      <figcaption>
        <h2>{props.figure.title}</h2>
        <b class="num" data-testid="figure-now">
          {now()}
        </b>
      </figcaption>
      <ChartPlace isInView={isInView()}>
        <Chart
          series={series()}
          version={app.statsPast.version()}
          from={from()}
          until={until()}
          decimals={props.figure.decimals}
          isCount={props.figure.decimals === 0}
          label={`${props.figure.title}, the last ten minutes`}
        />
      </ChartPlace>
    </figure>
  );
}

function Facts(props: { title: string; testid: string; facts: readonly (readonly [string, string])[] }) {
  return (
    <section class="card" aria-label={props.title}>
      <h2>{props.title}</h2>
      <dl class="facts values" data-testid={props.testid}>
        <Index each={props.facts}>
          {(fact) => (
            <>
              <dt>{fact()[0]}</dt>
              <dd class="num">{fact()[1]}</dd>
            </>
          )}
        </Index>
      </dl>
    </section>
  );
}

function gatewayFacts(stats: GatewayStats | null): [string, string][] {
  if (stats === null) return [];
  const { store } = stats;
  return [
    ["Devices", `${formatRate(stats.devices_online)} of ${formatRate(stats.devices_known)} online`],
    ["Payloads that did not decode", formatRate(stats.undecodable_payloads)],
    ["Updates merged for slow consumers", formatRate(stats.dropped_updates)],
    ["Slow consumers now", formatRate(stats.lagging_connections)],
    [
      "Store",
      store.state === "ok" ? "keeps what it is given" : `failing: ${store.error ?? "no reason given"}`,
    ],
    ["Updates that wait to be stored", formatRate(store.pending_updates)],
    ["Updates that could not be kept", formatRate(store.lost_updates)],
    ["Database", formatBytes(store.bytes)],
    ["Memory", formatBytes(stats.memory_bytes)],
  ];
}

function figure(title: string, testid: string, pick: Figure["pick"]): Figure {
  return { title, testid, pick, write: formatRate, decimals: 0 };
}
