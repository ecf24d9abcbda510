// The devices as cards; only those in view exist.
import { createMemo, createSignal, For, onMount, Show } from "solid-js";
import { AlertMark } from "../parts/alert-mark";
import { PresenceMark } from "../parts/presence";
import { Reading } from "../parts/reading";
import { walk } from "../parts/walk";
import { deviceHref } from "../router";
import { useApp } from "../store/app";
import type { DeviceRecord } from "../store/device";
import type { ShownRows } from "../store/devices";
import { SelectBox, seenText, seenTitle } from "./fleet-row";
import { emptyText, useScroller } from "./fleet-scroller";
import { readingsOf } from "./readings";

/** The least width of a card and the height of a line of them, in pixels; as in fleet-table.css. */
const cardWidth = 236;
const lineHeight = 132;
const readingsMax = 3;

/** The cards in view. */
export function FleetGrid(props: { rows: ShownRows; columns: readonly string[] }) {
  const app = useApp();
  const [perLine, setPerLine] = createSignal(4);
  const scroller = useScroller(() => ({ rowHeight: lineHeight, perLine: perLine() }));
  const count = () => props.rows.shown;
  const before = () => Math.floor(props.rows.from / perLine()) * lineHeight;
  const height = () => Math.ceil(count() / perLine()) * lineHeight;
  let place!: HTMLElement;
  onMount(() =>
    scroller.attach(place, ({ width }) => setPerLine(Math.max(1, Math.floor(width / cardWidth)))),
  );
  return (
    <section class="scroller grid" aria-label="Devices" tabindex="0" ref={place} onScroll={scroller.scrolled}>
      <div style={{ height: `${height()}px` }}>
        <ul
          class="cards values"
          data-testid="device-grid"
          style={{
            "padding-top": `${before()}px`,
            "grid-template-columns": `repeat(${perLine()}, minmax(0, 1fr))`,
          }}
          {...scroller.holding}
          onKeyDown={(event) =>
            walk(event, { ArrowRight: 1, ArrowLeft: -1, ArrowDown: perLine(), ArrowUp: -perLine() })
          }
        >
          <For each={props.rows.devices}>
            {(device) => <DeviceCard device={device} columns={props.columns} />}
          </For>
        </ul>
      </div>
      <Show when={count() === 0}>
        <p class="empty">{emptyText(app.devices.fleet().known, app.roster())}</p>
      </Show>
    </section>
  );
}

function DeviceCard(props: { device: DeviceRecord; columns: readonly string[] }) {
  const app = useApp();
  const device = () => props.device.read();
  const readings = createMemo(
    () => {
      const { metrics } = device();
      const chosen = props.columns.filter((name) => metrics.has(name));
      return [...chosen, ...readingsOf(metrics.values(), chosen, readingsMax)].slice(0, readingsMax);
    },
    [],
    { equals: (one, other) => one.join() === other.join() },
  );
  return (
    <li data-testid="device-card" data-device={props.device.id} data-status={device().presence.status}>
      <p class="card-head">
        <SelectBox device={props.device} />
        <a href={deviceHref(props.device.id)} title={props.device.id}>
          {props.device.id}
        </a>
        <Show when={device().alert}>{(severity) => <AlertMark severity={severity()} />}</Show>
      </p>
      <p class="card-sub">
        <PresenceMark status={device().presence.status} />
        <span class="muted num" title={seenTitle(device().lastSeenAt)}>
          {seenText(device().lastSeenAt, app.now())}
        </span>
      </p>
      <For each={readings()}>{(name) => <Reading device={props.device} name={name} />}</For>
    </li>
  );
}
