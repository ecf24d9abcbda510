// The live charts of a device: one for each numeric metric.
import { createMemo, createSignal, For, lazy, Show, Suspense } from "solid-js";
import { loadChart } from "../parts/load-chart";
import { useApp } from "../store/app";
import type { DeviceRecord } from "../store/device";
import type { History } from "../store/history";
import { formatNumber } from "../text/number";
import { windowMs } from "../worker/messages";

/** uPlot is half of the program, and the start page does without it. */
const Chart = lazy(loadChart);

/** Charts drawn at first; more would make a page nobody reads. */
const chartsAtFirst = 8;
/** A chart begins with this much, and grows to the whole window as samples come. */
const windowAtFirstMs = 60_000;
/** A device whose clock is further off than this is drawn by its own. */
const clockErrorMaxMs = 60_000;

/** The charts; `version` grows when there are new samples. */
export function Charts(props: { device: DeviceRecord; history: History; version: number }) {
  const [all, setAll] = createSignal(false);
  const names = createMemo(() => numericNames(props.device.read()), [], { equals: sameList });
  const shown = () => (all() ? names() : names().slice(0, chartsAtFirst));
  return (
    <section class="charts values" aria-label="Live charts, the last five minutes">
      <For each={shown()}>
        {(name) => (
          <MetricChart device={props.device} history={props.history} version={props.version} name={name} />
        )}
      </For>
      <Show when={names().length > shown().length}>
        <button type="button" onClick={() => setAll(true)}>
          Show {names().length - shown().length} more charts
        </button>
      </Show>
    </section>
  );
}

function MetricChart(props: { device: DeviceRecord; history: History; version: number; name: string }) {
  const app = useApp();
  const decimals = () => props.device.digits.of(props.name);
  const series = () => {
    // Read so that the chart follows the samples, which change in place.
    void props.version;
    return props.history.of(props.name);
  };
  const until = () => {
    const { times } = series();
    const last = times.at(-1) ?? app.now();
    return Math.abs(app.now() - last) > clockErrorMaxMs && last > app.now()
      ? last
      : Math.max(last, app.now());
  };
  const from = () => {
    const first = series().times[0] ?? until();
    return Math.max(until() - windowMs, Math.min(first, until() - windowAtFirstMs));
  };
  const range = () => {
    const { values } = series();
    if (values.length === 0) return "no sample yet";
    const [low, high] = extremes(values);
    if (low === high) return formatNumber(low, decimals());
    return `${formatNumber(low, decimals())} – ${formatNumber(high, decimals())}`;
  };
  return (
    <figure class="card chart-card" data-testid="chart" data-metric={props.name}>
      <figcaption>
        <h2>{props.name}</h2>
        <span class="muted num">{range()}</span>
      </figcaption>
      <Suspense fallback={<div class="chart" />}>
        <Chart
          series={series()}
          version={props.version}
          from={from()}
          until={until()}
          decimals={decimals()}
          label={`${props.name}, the last five minutes`}
        />
      </Suspense>
    </figure>
  );
}

function numericNames({ metrics }: DeviceRecord): string[] {
  return [...metrics.values()].flatMap(({ name, trend }) => (trend === null ? [] : name)).sort();
}

function extremes(values: readonly (number | null)[]): [low: number, high: number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value === null) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

function sameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index]);
}
