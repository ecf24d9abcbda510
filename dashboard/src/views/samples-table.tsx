// The samples of the time that is shown, as numbers: what a chart cannot say to everybody.
import { createMemo, createSignal, For, on, Show } from "solid-js";
import { Moment } from "../parts/moment";
import { useApp } from "../store/app";
import type { Digits } from "../store/device";
import type { Past } from "../store/past";
import { endsOf, type Range } from "../store/range";
import { formatNumber } from "../text/number";

/** Rows that are shown, fewer where they are long; all of them are in the file. */
const rowsMax = 200;
/** Metrics and values that are shown: each new row has the whole table laid out. */
const columnsMax = 16;
const cellsMax = 1_200;

/** The table, shown when it is opened; the newest first. */
export function SamplesTable(props: { names: readonly string[]; past: Past; range: Range; digits: Digits }) {
  const [isOpen, setOpen] = createSignal(false);
  return (
    <details
      class="card samples"
      data-testid="samples"
      onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
    >
      <summary>Values as a table</summary>
      <Show when={isOpen()}>
        <Show when={props.names.length > columnsMax}>
          <p class="hint" data-testid="samples-cut">
            The first {columnsMax} of {props.names.length} metrics: the filter beside the values chooses
            others, the file has all.
          </p>
        </Show>
        <Rows {...props} names={props.names.slice(0, columnsMax)} />
      </Show>
    </details>
  );
}

function Rows(props: { names: readonly string[]; past: Past; range: Range; digits: Digits }) {
  const app = useApp();
  /** The values by their time, the newest first. */
  const read = () => {
    const [from] = endsOf(props.range, props.past.now());
    const count = Math.min(rowsMax, Math.floor(cellsMax / Math.max(1, props.names.length)));
    const byTime = new Map<number, Map<string, number>>();
    for (const name of props.names) {
      const { times, values } = props.past.series(name);
      // The newest ones of each metric hold all that can be shown.
      for (let at = times.length - 1; at >= Math.max(0, times.length - 2 * count); at -= 1) {
        const [time, value] = [times[at] ?? 0, values[at] ?? null];
        if (value === null || time < from) continue;
        const row = byTime.get(time) ?? new Map<string, number>();
        byTime.set(time, row.set(name, value));
      }
    }
    return new Map([...byTime].sort(([a], [b]) => b - a).slice(0, count));
  };
  // No more than once a second: rows that come faster cannot be read, and each of them moves all others.
  const rows = createMemo(on([() => props.names, () => props.range, app.now], read));
  // Told apart by their time, so that a new sample makes one row and leaves the others.
  const times = createMemo(() => [...rows().keys()]);
  return (
    <section class="table-frame" tabindex="0" aria-label="Values as a table">
      <table class="plain dense values">
        <thead>
          <tr>
            <th scope="col">Time</th>
            <For each={props.names}>
              {(name) => (
                <th scope="col" class="end">
                  {name}
                </th>
              )}
            </For>
          </tr>
        </thead>
        <tbody>
          <For each={times()} fallback={<Nothing />}>
            {(time) => (
              <tr data-at={time}>
                <th scope="row">
                  <Moment at={time} now={app.now()} />
                </th>
                <For each={props.names}>
                  {(name) => (
                    <td class="end num" data-metric={name}>
                      {textOf(rows().get(time)?.get(name), props.digits.of(name))}
                    </td>
                  )}
                </For>
              </tr>
            )}
          </For>
        </tbody>
      </table>
    </section>
  );
}

function Nothing() {
  return (
    <tr>
      <td class="muted">No sample in this time.</td>
    </tr>
  );
}

function textOf(value: number | undefined, digits: number): string {
  return value === undefined ? "" : formatNumber(value, digits);
}
