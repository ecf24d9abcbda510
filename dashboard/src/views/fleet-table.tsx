// The table of devices; only the rows in view exist.
import { createEffect, createMemo, createSignal, For, type JSX, onCleanup, onMount, Show } from "solid-js";
import { windowOnto } from "../parts/virtual";
import { useApp } from "../store/app";
import type { ShownRows } from "../store/devices";
import { type SortKey, sortAfterClick } from "../worker/select";
import { FleetRow } from "./fleet-row";

/** Height of a row in pixels, as in fleet.css: on a narrow page two lines stand in a row. */
const rowHeights = { wide: 36, narrow: 56 };
const narrow = matchMedia("(max-width: 760px)");

/** How many rows are asked for before it is known how many there are. */
const rowsAtFirst = 64;

/** The rows in view, with a column for each metric in `columns`, and the first of the others. */
export function FleetTable(props: { rows: ShownRows; columns: readonly string[] }) {
  const app = useApp();
  const [scrollTop, setScrollTop] = createSignal(0);
  const [viewHeight, setViewHeight] = createSignal(0);
  const [rowHeight, setRowHeight] = createSignal(narrow.matches ? rowHeights.narrow : rowHeights.wide);
  const count = () => props.rows.shown;
  const view = createMemo(
    () => {
      const { start, end } = windowOnto(
        scrollTop(),
        viewHeight(),
        rowHeight(),
        Math.max(rowsAtFirst, count()),
      );
      return { from: start, to: end };
    },
    { from: 0, to: rowsAtFirst },
    { equals: (one, other) => one.from === other.from && one.to === other.to },
  );
  createEffect(() => app.look({ filter: app.fleet.filter(), sort: app.fleet.sort(), ...view() }));
  onCleanup(() => app.look(null));
  // The room is that of the rows that are here: those that were scrolled to come a frame or two later.
  const before = () => props.rows.from * rowHeight();
  const after = () => Math.max(0, count() - props.rows.from - props.rows.devices.length) * rowHeight();
  let scroller!: HTMLDivElement;

  onMount(() => {
    const resized = new ResizeObserver(() => {
      setViewHeight(scroller.clientHeight);
      setRowHeight(narrow.matches ? rowHeights.narrow : rowHeights.wide);
    });
    resized.observe(scroller);
    scroller.scrollTop = app.fleet.scrollTop;
    onCleanup(() => resized.disconnect());
  });
  const scrolled = () => {
    setScrollTop(scroller.scrollTop);
    app.fleet.scrollTop = scroller.scrollTop;
  };
  return (
    <section class="scroller" aria-label="Devices" tabindex="0" ref={scroller} onScroll={scrolled}>
      <table class="values" data-testid="devices" aria-rowcount={count() + 1}>
        <thead>
          <tr aria-rowindex={1}>
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
        <tbody>
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
        <p class="empty">{emptyText(app.devices.fleet().known, app.roster().isKnown)}</p>
      </Show>
    </section>
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

function emptyText(known: number, isKnown: boolean): string {
  if (known > 0) return "No device passes the filter.";
  return isKnown ? "No device has been heard of yet." : "Waiting for the list of devices …";
}
