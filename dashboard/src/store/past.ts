// A device's past as the gateway keeps it, for the time that is shown.
import { type Accessor, createEffect, createSignal, on, onCleanup } from "solid-js";
import type { DeviceId, History as Recorded } from "../generated/protocol";
import { windowMs } from "../worker/messages";
import type { App } from "./app";
import { type History, seriesOf } from "./history";
import { endsOf, type Range } from "./range";
import type { Series } from "./samples";

/** Values of each metric that are drawn: about one for each pixel of a chart, and a day in less than 50 KiB. */
const pointsMax = 720;
/** A pointer that draws or a wheel that turns is waited for so long. */
const settleMs = 200;

/** What is known of the time that is shown. */
export interface Past {
  /** The samples of a metric. */
  readonly series: (name: string) => Series;
  /** Grows with each change; followed. */
  readonly version: Accessor<number>;
  readonly isLoading: Accessor<boolean>;
  readonly problem: Accessor<string | null>;
  /** How long a bucket is where values were put together; null where they are as they came. */
  readonly bucketMs: Accessor<number | null>;
  /** Now, as the device has it. */
  readonly now: Accessor<number>;
  /** The numeric metrics of that time. */
  readonly names: () => string[];
}

/** Follows a time: the last minutes come live, what is longer or older is read from the gateway. */
export function createPast(
  app: App,
  id: DeviceId,
  range: Accessor<Range>,
  live: History,
  liveVersion: Accessor<number>,
): Past {
  const [version, setVersion] = createSignal(0);
  const [isLoading, setLoading] = createSignal(false);
  const [problem, setProblem] = createSignal<string | null>(null);
  const [recorded, setRecorded] = createSignal<Recorded | null>(null);
  let past = new Map<string, Series>();
  let asked = 0;

  const load = async (wanted: Range) => {
    asked += 1;
    const mine = asked;
    setLoading(true);
    const [from, to] = endsOf(wanted, live.deviceNow());
    const read = await app.api.telemetry(id, from, to, pointsMax);
    if (mine !== asked) return;
    setLoading(false);
    setProblem(read.kind === "ok" ? null : read.message);
    if (read.kind !== "ok") return;
    past = seriesOf(read.value);
    setRecorded(read.value);
    setVersion((count) => count + 1);
  };
  createEffect(
    on([range, app.isLive], ([wanted, isLive]) => {
      asked += 1;
      if (!needsReading(wanted)) {
        past = new Map();
        setRecorded(null);
        setProblem(null);
        setLoading(false);
        return void setVersion((count) => count + 1);
      }
      if (!isLive) return;
      const soon = setTimeout(() => void load(wanted), settleMs);
      const again =
        wanted.kind === "live"
          ? setInterval(() => void load(wanted), Math.max(10_000, wanted.spanMs / pointsMax))
          : undefined;
      onCleanup(() => {
        clearTimeout(soon);
        clearInterval(again);
      });
    }),
  );
  return {
    series: (name) => {
      const before = past.get(name);
      const wanted = range();
      if (!needsReading(wanted)) return live.of(name);
      if (wanted.kind === "past") return before ?? { times: [], values: [] };
      return joined(before, live.of(name));
    },
    version: () => version() + liveVersion(),
    isLoading,
    problem,
    bucketMs: () => recorded()?.bucket_ms ?? null,
    now: () => {
      liveVersion();
      return live.deviceNow();
    },
    names: () => {
      version();
      return [...past.keys()];
    },
  };
}

function needsReading(range: Range): boolean {
  return range.kind === "past" || range.spanMs > windowMs;
}

/** What was read, and after it what came live. */
function joined(before: Series | undefined, after: Series): Series {
  const end = before?.times.at(-1);
  if (before === undefined || end === undefined) return after;
  const from = after.times.findIndex((time) => time > end);
  if (from < 0) return before;
  return {
    times: [...before.times, ...after.times.slice(from)],
    values: [...before.values, ...after.values.slice(from)],
  };
}
