// All values of a device.
import { createMemo, For, Show } from "solid-js";
import { ValueText } from "../parts/reading";
import { useApp } from "../store/app";
import type { DeviceRecord } from "../store/device";
import { exactText } from "../text/number";
import { formatAgo, formatMoment } from "../text/time";
import { metricsMax } from "../worker/messages";
import { compareTexts } from "../worker/select";

/** The newest value of each metric, and how old it is. */
export function DeviceValues(props: { device: DeviceRecord }) {
  const app = useApp();
  const count = createMemo(() => props.device.read().metrics.size);
  const names = createMemo(() => {
    count();
    return [...props.device.metrics.keys()].sort(compareTexts);
  });
  const value = (name: string) => props.device.read().metrics.get(name)?.value;
  const at = (name: string) => props.device.read().metrics.get(name)?.at ?? 0;
  return (
    <section class="card" aria-labelledby="values-title">
      <h2 id="values-title">Values</h2>
      <Show when={count() > 0} fallback={<p class="muted">It has not sent any value yet.</p>}>
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
            <For each={names()}>
              {(name) => (
                <tr data-metric={name}>
                  <th scope="row">{name}</th>
                  <td class="end" title={exactText(value(name))}>
                    <ValueText device={props.device} name={name} />
                  </td>
                  <td class="end num muted" title={formatMoment(at(name))}>
                    {formatAgo(app.now() - at(name))}
                  </td>
                </tr>
              )}
            </For>
          </tbody>
        </table>
        <Show when={count() >= metricsMax}>
          <p class="hint">There may be more than this page holds.</p>
        </Show>
      </Show>
    </section>
  );
}
