// uPlot is half of the program, and the start page does without it.
import { lazyView } from "../parts/lazy";

/** A line over time. */
export const Chart = lazyView(() => import("../parts/chart"));
