// What time the charts show, and how it is taken away as a file.
import { createSignal, Show } from "solid-js";
import { Problem, unread } from "../parts/problem";
import { Segments } from "../parts/segments";
import { useApp } from "../store/app";
import { downloadCsv } from "../store/csv";
import type { Past } from "../store/past";
import { endsOf, liveAgain, pan, type Range, spans, zoom } from "../store/range";
import { formatClock, formatDateTime, formatDuration, formatMoment } from "../text/time";

const day = 86_400_000;

/** The spans, the ways through the past, and the file. */
export function ChartsBar(props: {
  device: string;
  range: Range;
  past: Past;
  setRange: (range: Range) => void;
}) {
  const span = () => {
    const { range } = props;
    return range.kind === "live" ? (spans.find(([, ms]) => ms === range.spanMs)?.[0] ?? "") : "";
  };
  const ends = () => endsOf(props.range, props.past.now());
  return (
    <fieldset class="charts-bar">
      <legend class="sr-only">Time shown</legend>
      <Segments
        small
        name="span"
        legend="The last"
        testid="span"
        value={span()}
        choices={spans.map(([name]) => [name, name.replace(/([a-z])/, " $1")] as const)}
        choose={(name) =>
          props.setRange({ kind: "live", spanMs: spans.find(([known]) => known === name)?.[1] ?? 0 })
        }
      />
      <span class="buttons">
        <Way
          label="Earlier"
          sign="‹"
          testid="pan-back"
          go={() => props.setRange(pan(props.range, -0.5, props.past.now()))}
        />
        <Way
          label="Later"
          sign="›"
          testid="pan-on"
          disabled={props.range.kind === "live"}
          go={() => props.setRange(pan(props.range, 0.5, props.past.now()))}
        />
        <Way
          label="Longer"
          sign="−"
          testid="zoom-out"
          go={() => props.setRange(zoom(props.range, 2, props.past.now()))}
        />
        <Way
          label="Shorter"
          sign="+"
          testid="zoom-in"
          go={() => props.setRange(zoom(props.range, 0.5, props.past.now()))}
        />
      </span>
      <Show when={props.range.kind === "past"}>
        <button type="button" data-testid="range-live" onClick={() => props.setRange(liveAgain(props.range))}>
          Live
        </button>
        <span
          class="muted num"
          data-testid="range"
          title={`${formatMoment(ends()[0])} to ${formatMoment(ends()[1])}`}
        >
          {rangeText(...ends())}
        </span>
      </Show>
      <Problem text={unread("The past", props.past.problem())} />
      <span class="buckets muted num" title={bucketsTitle(props.past.bucketMs())}>
        {bucketsText(props.past.bucketMs())}
      </span>
      <CsvButton device={props.device} ends={ends} />
    </fieldset>
  );
}

function Way(props: { label: string; sign: string; testid: string; disabled?: boolean; go: () => void }) {
  return (
    <button
      type="button"
      class="quiet"
      aria-label={props.label}
      title={props.label}
      data-testid={props.testid}
      disabled={props.disabled === true}
      onClick={() => props.go()}
    >
      {props.sign}
    </button>
  );
}

function CsvButton(props: { device: string; ends: () => [number, number] }) {
  const app = useApp();
  const [rows, setRows] = createSignal<number | null>(null);
  const [problem, setProblem] = createSignal<string | null>(null);
  const save = async () => {
    const [from, to] = props.ends();
    setRows(0);
    setProblem(await downloadCsv(app.api, props.device, from, to, setRows));
    setRows(null);
  };
  return (
    <>
      <Problem text={problem()} />
      <button
        type="button"
        data-testid="csv"
        disabled={rows() !== null || !app.isLive()}
        title="All values of the time that is shown, as a file"
        onClick={() => void save()}
      >
        {rows() === null ? "CSV" : `${rows()} rows …`}
      </button>
    </>
  );
}

function bucketsText(ms: number | null): string {
  return ms === null ? "" : `extremes of each ${formatDuration(ms)}`;
}

function bucketsTitle(ms: number | null): string {
  return ms === null ? "" : `the least and the greatest value of each ${formatDuration(ms)}`;
}

function rangeText(from: number, to: number): string {
  const isOneDay = to - from < day;
  return `${formatDateTime(from)} – ${isOneDay ? formatClock(to) : formatDateTime(to)}`;
}
