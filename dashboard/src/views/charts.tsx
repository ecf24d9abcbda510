// The charts of a device: one for each numeric metric, all over the same time and with one cursor.
import { createMemo, createSignal, For, Show } from "solid-js";
import { createGlance, createInView } from "../parts/in-view";
import { useApp } from "../store/app";
import type { DeviceRecord } from "../store/device";
import type { History } from "../store/history";
import type { MetricFilter } from "../store/metric-filter";
import { createPast, type Past } from "../store/past";
import { between, endsOf, type Range, readRange, writeRange } from "../store/range";
import { formatNumber } from "../text/number";
import { windowMs } from "../worker/messages";
import { compareTexts } from "../worker/select";
import { ChartsBar } from "./charts-bar";
import { Chart, ChartPlace } from "./charts-lazy";
import { SamplesTable } from "./samples-table";

/** Charts drawn at first; more would make a page nobody reads. */
const chartsAtFirst = 8;
/** A chart begins with this much, and grows to the whole window as samples come. */
const windowAtFirstMs = 60_000;

/** The charts; `version` grows when there are new samples. */
export function Charts(props: {
  device: DeviceRecord;
  history: History;
  version: number;
  filter: MetricFilter;
}) {
  const app = useApp();
  const [all, setAll] = createSignal(false);
  const range = createMemo(() => readRange(app.place.query()), undefined, {
    equals: (one, other) => JSON.stringify(one) === JSON.stringify(other),
  });
  const past = createPast(app, props.device.id, range, props.history, () => props.version);
  const measured = createMemo(() => numericNames(props.device.read()), [], { equals: sameList });
  const names = createMemo(
    () => [...new Set([...measured(), ...past.names()])].filter(props.filter.passes).sort(compareTexts),
    [],
    { equals: sameList },
  );
  const shown = () => (all() ? names() : names().slice(0, chartsAtFirst));
  const setRange = (next: Range) => app.place.setQuery(writeRange(next));
  return (
    <section class="charts-part" aria-label="Charts">
      <ChartsBar device={props.device.id} range={range()} past={past} setRange={setRange} />
      <div class="charts values">
        <For each={shown()}>
          {(name) => (
            <MetricChart device={props.device} past={past} range={range()} name={name} setRange={setRange} />
          )}
        </For>
      </div>
      <Show when={names().length > shown().length}>
        <button type="button" onClick={() => setAll(true)}>
          Show {names().length - shown().length} more charts
        </button>
      </Show>
      <SamplesTable names={names()} past={past} range={range()} digits={props.device.digits} />
    </section>
  );
}

function MetricChart(props: {
  device: DeviceRecord;
  past: Past;
  range: Range;
  name: string;
  setRange: (range: Range) => void;
}) {
  const decimals = () => props.device.digits.of(props.name);
  const series = () => {
    // Read so that the chart follows the samples, which change in place.
    props.past.version();
    return props.past.series(props.name);
  };
  const until = () => {
    const [, to] = endsOf(props.range, props.past.now());
    return props.range.kind === "past" ? to : Math.max(to, series().times.at(-1) ?? to);
  };
  const from = () => {
    if (props.range.kind === "past") return props.range.from;
    if (props.range.spanMs > windowMs) return until() - props.range.spanMs;
    const first = series().times[0] ?? until();
    return Math.max(until() - props.range.spanMs, Math.min(first, until() - windowAtFirstMs));
  };
  const [isInView, see] = createInView();
  const spread = createGlance(isInView, () => {
    const [low, high] = extremes(series().values);
    if (low > high) return props.past.isLoading() ? "reading …" : "no sample";
    if (low === high) return formatNumber(low, decimals());
    return `${formatNumber(low, decimals())} – ${formatNumber(high, decimals())}`;
  });
  return (
    <figure class="card chart-card" data-testid="chart" data-metric={props.name} ref={see}>
      <figcaption>
        <h2 title={props.name}>{props.name}</h2>
        <span class="muted num">{spread()}</span>
      </figcaption>
      <ChartPlace isInView={isInView()}>
        <Chart
          series={series()}
          version={props.past.version()}
          from={from()}
          until={until()}
          decimals={decimals()}
          label={`${props.name} over time`}
          zoomed={(start, end) => props.setRange(between(start, end, props.past.now()))}
        />
      </ChartPlace>
    </figure>
  );
}

function numericNames({ metrics }: DeviceRecord): string[] {
  return [...metrics.values()].flatMap(({ name, trend }) => (trend === null ? [] : name));
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
