// uPlot is half of the program, and the start page does without it.
import { type JSX, Show, Suspense } from "solid-js";
import { lazyView } from "../parts/lazy";

/** A line over time. */
export const Chart = lazyView(() => import("../parts/chart"));

/** The place of a chart, which is drawn while it is in view. */
export function ChartPlace(props: { isInView: boolean; children: JSX.Element }) {
  return (
    <Suspense fallback={<div class="chart" />}>
      <Show when={props.isInView} fallback={<div class="chart" />}>
        {props.children}
      </Show>
    </Suspense>
  );
}
