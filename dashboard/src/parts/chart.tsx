// A line over time, drawn by uPlot. Who shows many of them shows those in view only.
import { createEffect, createSignal, on, onCleanup, onMount, Show } from "solid-js";
import uPlot from "uplot";
import type { Series } from "../store/samples";
import { formatNumber } from "../text/number";
import { formatClock, formatDateTime } from "../text/time";
import { timeStep, timeTextPx, valueStep } from "./axes";
import { lonePlaces } from "./lone";
import { theme } from "./theme";

const heightPx = 132;
const paddingPx = 8;
/** The width of the values' axis, and of a digit in its font. */
const axisWidthPx = 52;
const digitWidthPx = 6.6;
const fillAlpha = 0.09;
/** The size of a sample that no line goes through. */
const lonePx = 5;
/** Charts with one key show the same moment under the pointer. */
const syncKey = "device";

/**
 * The samples between `from` and `until` (milliseconds since the epoch); `version` grows with each new one. With
 * `zoomed`, a part that is drawn over with the pointer is told, and so is a turn of the wheel with Ctrl or Shift.
 */
export default function Chart(props: {
  series: Series;
  version: number;
  from: number;
  until: number;
  decimals: number;
  /** Whether the values are counts: there is nothing below zero, and nothing between two of them. */
  isCount?: boolean;
  label: string;
  zoomed?: (from: number, until: number) => void;
}) {
  const [pointed, setPointed] = createSignal<string | null>(null);
  let frame!: HTMLDivElement;
  /** Solid empties an element of its own when its last child goes: the plot has one where nothing else comes and goes. */
  let place!: HTMLDivElement;
  let plot: uPlot | undefined;
  /** Whether the pointer went down here: what is drawn over in one chart is drawn over in all of them. */
  let isOurs = false;

  const draw = () => {
    if (plot === undefined) return;
    plot.setData([props.series.times, props.series.values], false);
    plot.batch(() => {
      plot?.setScale("x", { min: props.from, max: props.until });
    });
  };
  const rebuild = () => {
    plot?.destroy();
    plot = new uPlot(
      options(frame, () => props.decimals, props.isCount === true, setPointed, drawnOver),
      [[], []],
      place,
    );
    draw();
  };
  const drawnOver =
    props.zoomed === undefined
      ? undefined
      : (from: number, until: number) => {
          if (isOurs) props.zoomed?.(from, until);
          isOurs = false;
        };
  const turned = (event: WheelEvent) => {
    if (plot === undefined || props.zoomed === undefined || !(event.ctrlKey || event.shiftKey)) return;
    event.preventDefault();
    const { from, until } = props;
    const way = Math.sign(event.deltaY || event.deltaX);
    if (event.shiftKey) {
      const step = ((until - from) / 6) * way;
      return props.zoomed(from + step, until + step);
    }
    const at = plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x");
    const factor = way > 0 ? 1.4 : 1 / 1.4;
    props.zoomed(at - (at - from) * factor, at + (until - at) * factor);
  };
  onMount(() => {
    const resized = new ResizeObserver(() => plot?.setSize({ width: place.clientWidth, height: heightPx }));
    const schemeChanged = matchMedia("(prefers-color-scheme: dark)");
    resized.observe(place);
    schemeChanged.addEventListener("change", rebuild);
    rebuild();
    createEffect(on(theme, rebuild, { defer: true }));
    createEffect(on(() => [props.version, props.until], draw));
    onCleanup(() => {
      resized.disconnect();
      schemeChanged.removeEventListener("change", rebuild);
      plot?.destroy();
      plot = undefined;
    });
  });
  return (
    <div
      class="chart"
      role="img"
      aria-label={props.label}
      ref={frame}
      onMouseDown={() => {
        isOurs = true;
      }}
      on:wheel={{ handleEvent: turned, passive: false }}
    >
      <div ref={place} />
      <Show when={pointed()}>{(text) => <span class="chart-pointed num">{text()}</span>}</Show>
    </div>
  );
}

function options(
  frame: HTMLElement,
  decimals: () => number,
  isCount: boolean,
  point: (text: string | null) => void,
  zoomed: ((from: number, until: number) => void) | undefined,
): uPlot.Options {
  const style = getComputedStyle(frame);
  const text = style.color;
  const lines = style.borderTopColor;
  const ink = style.outlineColor;
  const font = `11px ${style.fontFamily}`;
  return {
    width: frame.clientWidth,
    height: heightPx,
    ms: 1,
    padding: [paddingPx, paddingPx, 0, 0],
    legend: { show: false },
    cursor: {
      drag: { x: zoomed !== undefined, y: false, setScale: false, dist: 8 },
      sync: { key: syncKey },
      points: { size: 6 },
    },
    scales: { x: { time: true }, y: { range: (_, low, high) => spread(low, high, isCount) } },
    axes: [
      {
        stroke: text,
        font,
        size: 24,
        space: 1,
        incrs: (_, __, from, until, widthPx) => [timeStep(until - from, widthPx)],
        grid: { show: false },
        ticks: { stroke: lines, width: 1, size: 4 },
        values: (plot, splits) => splits.map((at) => (fits(plot, at, splits) ? timeText(at, splits) : "")),
      },
      {
        stroke: text,
        font,
        size: (_, texts) => widthOf(texts ?? []),
        space: 1,
        incrs: (_, __, low, high, heightPx) => [valueStep(high - low, heightPx, isCount)],
        grid: { stroke: lines, width: 1 },
        ticks: { show: false },
        values: (_, splits) => splits.map((value) => axisText(value, splits)),
      },
    ],
    series: [
      {},
      {
        stroke: ink,
        width: 1.5,
        fill: fillOf(ink),
        points: { show: false, filter: lone, size: lonePx, fill: ink, width: 0 },
      },
    ],
    hooks: {
      setCursor: [(plot) => point(pointedText(plot, decimals()))],
      setSelect: [(plot) => tellSelected(plot, zoomed)],
    },
  };
}

/** A sample between two gaps, or the only one, is a point. */
function lone(plot: uPlot, series: number): number[] {
  const [from, to] = plot.series[0]?.idxs ?? [0, -1];
  return lonePlaces(plot.data[series] ?? [], from, to);
}

/** The ink, thin: what lies under the line. */
function fillOf(ink: string): string {
  return ink.replace(/^rgb\((.+)\)$/, `rgba($1, ${fillAlpha})`);
}

/** Tells the part of the time that was drawn over. */
function tellSelected(plot: uPlot, zoomed: ((from: number, until: number) => void) | undefined): void {
  const { left, width } = plot.select;
  if (width < 8) return;
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  zoomed?.(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
}

/** Room above and below the line, also for a value that stands still. */
function spread(low: number | null, high: number | null, isCount: boolean): [number, number] {
  if (low === null || high === null) return [0, 1];
  const room = high > low ? (high - low) * 0.12 : Math.max(1, Math.abs(high) * 0.1);
  return [isCount ? Math.max(0, low - room) : low - room, high + room];
}

/**
 * Whether a time's text, which stands around its place, ends before the edge. Where that is, the plot knows: an element
 * that is asked for its width has the whole page laid out first, once for each chart.
 */
function fits(plot: uPlot, at: number, splits: readonly number[]): boolean {
  const edge = plot.valToPos(plot.scales.x?.max ?? at, "x");
  return plot.valToPos(at, "x") + timeTextPx(stepOf(splits)) / 2 <= edge + paddingPx;
}

/** Seconds only where the lines of the grid are closer than a minute, the day where they are further than half of one. */
function timeText(at: number, splits: readonly number[]): string {
  const step = stepOf(splits);
  if (step >= 43_200_000) return new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return step >= 60_000 ? formatClock(at).slice(0, 5) : formatClock(at);
}

function stepOf(splits: readonly number[]): number {
  return (splits[1] ?? 0) - (splits[0] ?? 0);
}

/** The room for the texts beside the lines of the grid: the same for all charts but those with long ones. */
function widthOf(texts: readonly string[]): number {
  const longest = Math.max(0, ...texts.map(({ length }) => length));
  return Math.max(axisWidthPx, longest * digitWidthPx + 16);
}

/** As many digits as it takes to tell the lines of the grid apart. */
function axisText(value: number, splits: readonly number[]): string {
  const step = Math.abs(stepOf(splits));
  const digits = String(Number(step.toPrecision(3))).split(".")[1]?.length ?? 0;
  return formatNumber(value, Math.min(5, digits));
}

function pointedText(plot: uPlot, decimals: number): string | null {
  const index = plot.cursor.idx;
  if (index === null || index === undefined) return null;
  const at = plot.data[0][index];
  const value = plot.data[1]?.[index];
  if (at === undefined || value === null || value === undefined) return null;
  const span = (plot.data[0].at(-1) ?? at) - (plot.data[0][0] ?? at);
  const when = span > 43_200_000 ? formatDateTime(at) : formatClock(at);
  return `${formatNumber(value, decimals)} at ${when}`;
}
