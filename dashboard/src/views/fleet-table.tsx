// The table of devices; only the rows in view exist.
import { createEffect, createSignal, For, type JSX, onMount, Show } from "solid-js";
import { walk } from "../parts/walk";
import { useApp } from "../store/app";
import type { ShownRows } from "../store/devices";
import { type SortKey, sortAfterClick } from "../worker/select";
import { FleetRow } from "./fleet-row";
import { emptyText, useScroller } from "./fleet-scroller";

/** Height of a row in pixels, as in fleet-table.css: on a narrow page two lines stand in a row. */
const rowHeights = { wide: 36, narrow: 56 };
const narrow = matchMedia("(max-width: 760px)");

/** The rows in view, with a column for each metric in `columns`, and the first of the others. */
export function FleetTable(props: { rows: ShownRows; columns: readonly string[] }) {
  const app = useApp();
  const [rowHeight, setRowHeight] = createSignal(narrow.matches ? rowHeights.narrow : rowHeights.wide);
  const scroller = useScroller(() => ({ rowHeight: rowHeight(), perLine: 1 }));
  const count = () => props.rows.shown;
  // The room is that of the rows that are here: those that were scrolled to come a frame or two later.
  const before = () => props.rows.from * rowHeight();
  const after = () => Math.max(0, count() - props.rows.from - props.rows.devices.length) * rowHeight();
  let place!: HTMLElement;
  onMount(() =>
    scroller.attach(place, () => setRowHeight(narrow.matches ? rowHeights.narrow : rowHeights.wide)),
  );
  return (
    <section class="scroller" aria-label="Devices" tabindex="0" ref={place} onScroll={scroller.scrolled}>
      <table class="values" data-testid="devices" aria-rowcount={count() + 1}>
        <thead>
          <tr aria-rowindex={1}>
            <th scope="col" class="col-select">
              <SelectAll shown={count()} />
            </th>
            <Head key="status" class="col-status">
              Status
            </Head>
            <Head key="id" class="col-id">
              Device
            </Head>
            <Head key="type" class="col-type">
              Type
            </Head>
            <Head key="seen" class="col-seen">
              Last seen
            </Head>
            <For each={props.columns}>
              {(name) => (
                <Head key={`metric:${name}`} class="col-metric">
                  {name}
                </Head>
              )}
            </For>
            <th scope="col" class="col-readings">
              Readings
            </th>
          </tr>
        </thead>
        <tbody {...scroller.holding} onKeyDown={(event) => walk(event, { ArrowDown: 1, ArrowUp: -1 })}>
          <Spacer height={before()} />
          <For each={props.rows.devices}>
            {(device, index) => (
              <FleetRow device={device} rowIndex={props.rows.from + index() + 2} columns={props.columns} />
            )}
          </For>
          <Spacer height={after()} />
        </tbody>
      </table>
      <Show when={count() === 0}>
        <p class="empty">{emptyText(app.devices.fleet().known, app.roster())}</p>
      </Show>
    </section>
  );
}

/** Takes all that pass the filter, or none. */
function SelectAll(props: { shown: number }) {
  const { client, fleet } = useApp();
  const hasAll = () => fleet.hasAll(props.shown);
  const change = async (on: boolean) =>
    fleet.selectAll(on ? await client.select(fleet.filter(), fleet.sort()) : []);
  return (
    <input
      type="checkbox"
      data-testid="select-all"
      aria-label={`Select all ${props.shown} devices that are shown`}
      checked={hasAll()}
      ref={(box) => {
        createEffect(() => {
          box.indeterminate = fleet.selected().size > 0 && !hasAll();
        });
      }}
      onChange={({ currentTarget }) => void change(currentTarget.checked)}
    />
  );
}

/** A column's head that sorts. */
function Head(props: { key: SortKey; class: string; children: JSX.Element }) {
  const { sort, setSort } = useApp().fleet;
  const order = () => {
    if (sort().key !== props.key) return "none";
    return sort().descending ? "descending" : "ascending";
  };
  return (
    <th scope="col" class={props.class} aria-sort={order()}>
      <button
        type="button"
        data-testid={`sort-${props.key}`}
        onClick={() => setSort(sortAfterClick(sort(), props.key))}
      >
        {props.children}
      </button>
    </th>
  );
}

/** The room of the rows that are not in view. */
function Spacer(props: { height: number }) {
  return (
    <Show when={props.height > 0}>
      <tr class="spacer">
        <td style={{ height: `${props.height}px` }} />
      </tr>
    </Show>
  );
}
