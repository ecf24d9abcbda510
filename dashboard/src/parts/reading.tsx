// A metric's newest value.
import { createEffect, createMemo, on, Show } from "solid-js";
import type { DeviceRecord } from "../store/device";
import { exactText, formatValue } from "../text/number";
import type { MetricPatch } from "../worker/messages";
import { light } from "./light";
import { Sparkline } from "./sparkline";

/** Name, value, and a little line where it is a number. */
export function Reading(props: { device: DeviceRecord; name: string }) {
  const metric = () => props.device.read().metrics.get(props.name);
  return (
    <span class="reading" data-metric={props.name}>
      <span class="reading-name" title={props.name}>
        {props.name}
      </span>
      <ValueText metric={metric()} decimals={props.device.digits.of(props.name)} />
      <Show when={metric()?.trend}>{(trend) => <Sparkline path={trend()} />}</Show>
    </span>
  );
}

/** A cell of a metric's own column. */
export function ReadingCell(props: { device: DeviceRecord; name: string }) {
  const metric = () => props.device.read().metrics.get(props.name);
  return (
    <td class="col-metric num" data-metric={props.name}>
      <Show when={metric()?.trend}>{(trend) => <Sparkline path={trend()} />}</Show>
      <ValueText metric={metric()} decimals={props.device.digits.of(props.name)} />
    </td>
  );
}

/** The value; it lights up for a moment when it becomes another. Where there is no room for it, the pointer shows it. */
export function ValueText(props: { metric: MetricPatch | undefined; decimals: number }) {
  const changes = createMemo(() => props.metric?.changes);
  let box!: HTMLElement;
  createEffect(on(changes, () => light(box), { defer: true }));
  return (
    <span
      class="value num"
      data-testid="value"
      onPointerEnter={({ currentTarget }) => {
        currentTarget.title = exactText(props.metric?.value);
      }}
    >
      <span class="text-box" ref={box}>
        {formatValue(props.metric?.value, props.decimals)}
      </span>
    </span>
  );
}
