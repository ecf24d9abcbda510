// One device in the table.
import { createMemo, For, Show } from "solid-js";
import { AlertMark } from "../parts/alert-mark";
import { PresenceMark } from "../parts/presence";
import { Reading, ReadingCell } from "../parts/reading";
import { deviceHref } from "../router";
import { useApp } from "../store/app";
import type { DeviceRecord } from "../store/device";
import { formatAgo, formatMoment } from "../text/time";
import { readingsOf } from "./readings";

/** Readings in a row; narrow pages hide the last ones. */
const readingsMax = 4;

/** The row. */
export function FleetRow(props: { device: DeviceRecord; rowIndex: number; columns: readonly string[] }) {
  const app = useApp();
  const device = () => props.device.read();
  const seenAt = () => device().lastSeenAt;
  const readings = createMemo(() => readingsOf(device().metrics.values(), props.columns, readingsMax), [], {
    equals: sameNames,
  });
  return (
    <tr
      aria-rowindex={props.rowIndex}
      data-testid="device-row"
      data-device={props.device.id}
      data-status={device().presence.status}
    >
      <td class="col-select">
        <SelectBox device={props.device} />
      </td>
      <td class="col-status">
        <span class="text-box">
          <PresenceMark status={device().presence.status} />
        </span>
      </td>
      <th scope="row" class="col-id">
        <span class="text-box">
          <a href={deviceHref(props.device.id)} title={props.device.id}>
            {props.device.id}
          </a>
          <Show when={device().alert}>{(severity) => <AlertMark severity={severity()} />}</Show>
        </span>
      </th>
      <td class="col-type" title={device().type ?? ""}>
        {device().type ?? ""}
      </td>
      <td class="col-seen num" title={seenTitle(seenAt())}>
        <span class="text-box">{seenText(seenAt(), app.now())}</span>
      </td>
      <For each={props.columns}>{(name) => <ReadingCell device={props.device} name={name} />}</For>
      <td class="col-readings">
        <div>
          <For each={readings()}>{(name) => <Reading device={props.device} name={name} />}</For>
        </div>
      </td>
    </tr>
  );
}

/** Takes the device to those that are to be told something together. */
export function SelectBox(props: { device: DeviceRecord }) {
  const { fleet } = useApp();
  return (
    <input
      type="checkbox"
      data-testid="select-device"
      aria-label={`Select ${props.device.id}`}
      checked={fleet.selected().has(props.device.id)}
      onChange={({ currentTarget }) => fleet.select(props.device.id, currentTarget.checked)}
    />
  );
}

function sameNames(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index]);
}

/** How long ago it was heard, by the gateway's clock. */
export function seenText(at: number | null, now: number): string {
  return at === null ? "never" : formatAgo(now - at);
}

/** When it was heard. */
export function seenTitle(at: number | null): string {
  return at === null ? "never heard" : formatMoment(at);
}
