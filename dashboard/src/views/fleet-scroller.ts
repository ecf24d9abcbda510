// What the table and the cards of the fleet have in common: a part of many in view, which tells the worker what it is.
import { createEffect, createMemo, createSignal, on, onCleanup } from "solid-js";
import { windowOnto } from "../parts/virtual";
import { useApp } from "../store/app";
import type { RosterState } from "../worker/messages";

/** How many devices are asked for before it is known how many there are. */
const devicesAtFirst = 64;
/** A pointer that rests for so long has been left there. */
const restMs = 8_000;

/** How devices lie in the scroller. */
export interface Layout {
  readonly rowHeight: number;
  readonly perLine: number;
}

/** Follows a scroller and asks for the devices in view. */
export function useScroller(layout: () => Layout) {
  const app = useApp();
  const [scrollTop, setScrollTop] = createSignal(0);
  const [viewHeight, setViewHeight] = createSignal(0);
  const view = createMemo(
    () => {
      const { rowHeight, perLine } = layout();
      const lines = Math.ceil(Math.max(devicesAtFirst, app.devices.rows().shown) / perLine);
      const { start, end } = windowOnto(scrollTop(), viewHeight(), rowHeight, lines);
      return { from: start * perLine, to: end * perLine };
    },
    { from: 0, to: devicesAtFirst },
    { equals: (one, other) => one.from === other.from && one.to === other.to },
  );
  createEffect(() => app.look({ filter: app.fleet.filter(), sort: app.fleet.sort(), ...view() }));
  onCleanup(() => app.look(null));
  let place: HTMLElement | undefined;
  return {
    /** Called once it is in the document, and `resized` with each of its sizes. */
    attach: (element: HTMLElement, resized: (size: { width: number }) => void) => {
      place = element;
      const observer = new ResizeObserver(() => {
        setViewHeight(element.clientHeight);
        resized({ width: element.clientWidth });
      });
      observer.observe(element);
      element.scrollTop = app.fleet.scrollTop;
      onCleanup(() => observer.disconnect());
    },
    scrolled: () => {
      setScrollTop(place?.scrollTop ?? 0);
      app.fleet.scrollTop = place?.scrollTop ?? 0;
    },
    holding: useHold(),
  };
}

/** Nothing moves under a pointer that moves, under a finger, or under the keys. */
function useHold() {
  const app = useApp();
  const keep = useKeptFocus();
  let isHeld = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const set = (on: boolean) => {
    clearTimeout(timer);
    if (on) timer = setTimeout(() => set(false), restMs);
    if (on === isHeld) return;
    isHeld = on;
    app.client.tell({ kind: "hold", on });
  };
  onCleanup(() => set(false));
  return {
    onPointerDown: () => set(true),
    onPointerMove: () => set(true),
    onPointerLeave: ({ pointerType }: PointerEvent) => {
      // A finger that is lifted comes down again.
      if (pointerType !== "touch") set(false);
    },
    onFocusIn: ({ target }: FocusEvent) => {
      keep(target);
      set(true);
    },
    onKeyUp: () => set(true),
  };
}

/** A row that moves loses the focus that is in it: gives it back. */
function useKeptFocus(): (target: EventTarget | null) => void {
  const app = useApp();
  let kept: HTMLElement | null = null;
  const moved = ({ target }: Event) => {
    if (target !== kept) kept = null;
  };
  for (const kind of ["focusin", "pointerdown"]) addEventListener(kind, moved, { capture: true });
  onCleanup(() => {
    for (const kind of ["focusin", "pointerdown"]) removeEventListener(kind, moved, { capture: true });
  });
  createEffect(
    on(app.devices.rows.bind(app.devices), () => {
      if (kept?.isConnected && document.activeElement === document.body) kept.focus({ preventScroll: true });
    }),
  );
  return (target) => {
    kept = target instanceof HTMLElement ? target : null;
  };
}

/** What stands in place of the devices where there is none; `known` is how many there are without the filter. */
export function emptyText(known: number, { isKnown, problem }: RosterState): string {
  if (isKnown) return known > 0 ? "No device passes the filter." : "No device has been heard of yet.";
  if (problem !== null) return "Without the list no device is known that could stand here.";
  if (known === 0) return "Waiting for the list of devices …";
  return "No device passes the filter so far: the list of devices is still being read.";
}
