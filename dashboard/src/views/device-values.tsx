// All values of a device.
import { For, Show } from "solid-js";
import { createGlance, createInView } from "../parts/in-view";
import { ValueText } from "../parts/reading";
import { useApp } from "../store/app";
import type { DeviceRecord } from "../store/device";
import type { MetricFilter } from "../store/metric-filter";
import { exactText } from "../text/number";
import { formatAgo, formatMoment } from "../text/time";
import { metricsMax } from "../worker/messages";

/** Fewer metrics than this are found by looking. */
const filterFrom = 16;

/** When a metric was last measured, where only the past tells; null where it does not. */
type DatedAt = (metric: string) => number | null;

/** The newest value of each metric that passes the filter, and how old it is where that is known. */
export function DeviceValues(props: { device: DeviceRecord; filter: MetricFilter; datedAt: DatedAt }) {
  const isFiltered = () => props.filter.text() !== "";
  return (
    <section class="card" aria-labelledby="values-title">
      <h2 id="values-title">Values</h2>
      <Show
        when={props.filter.all().length > 0}
        fallback={<p class="muted">It has not sent any value yet.</p>}
      >
        <Show when={isFiltered() || props.filter.all().length >= filterFrom}>
          <MetricField filter={props.filter} />
        </Show>
        <Show
          when={props.filter.passing().length > 0}
          fallback={<p class="muted">No metric is called that.</p>}
        >
          <table class="plain values" data-testid="values">
            <thead>
              <tr>
                <th scope="col">Metric</th>
                <th scope="col" class="end">
                  Value
                </th>
                <th scope="col" class="end">
                  Age
                </th>
              </tr>
            </thead>
            <tbody>
              <For each={props.filter.passing()}>
                {(name) => <ValueRow device={props.device} name={name} datedAt={props.datedAt} />}
              </For>
            </tbody>
          </table>
        </Show>
        <Show when={props.filter.all().length >= metricsMax}>
          <p class="hint">There may be more than this page holds.</p>
        </Show>
      </Show>
    </section>
  );
}

/** What charts and tables of the device are narrowed by. */
function MetricField(props: { filter: MetricFilter }) {
  return (
    <label class="metric-filter">
      <span class="sr-only">Filter metrics by name</span>
      <input
        type="search"
        placeholder="Filter metrics by name"
        data-testid="metric-filter"
        autocomplete="off"
        spellcheck={false}
        value={props.filter.text()}
        onInput={({ currentTarget }) => props.filter.setText(currentTarget.value)}
      />
      <output class="muted num" data-testid="metrics-shown">
        {props.filter.passing().length} of {props.filter.all().length}
      </output>
    </label>
  );
}

function ValueRow(props: { device: DeviceRecord; name: string; datedAt: DatedAt }) {
  const app = useApp();
  const [isInView, see] = createInView();
  const metric = createGlance(isInView, () => props.device.read().metrics.get(props.name));
  const at = () => metric()?.at ?? props.datedAt(props.name);
  return (
    <tr data-metric={props.name} ref={see}>
      <th scope="row">{props.name}</th>
      <td class="end" title={exactText(metric()?.value)}>
        <ValueText metric={metric()} decimals={props.device.digits.of(props.name)} />
      </td>
      <td class="end num muted" data-testid="age" title={ageTitle(at())}>
        {ageText(at(), app.now())}
      </td>
    </tr>
  );
}

function ageText(at: number | null, now: number): string {
  return at === null ? "–" : formatAgo(now - at);
}

function ageTitle(at: number | null): string {
  return at === null ? "not measured in the last minutes, nor while this page was open" : formatMoment(at);
}
