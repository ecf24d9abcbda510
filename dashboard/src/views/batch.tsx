// A batch: how far it is, and what became of it on each device.
import { createEffect, createMemo, createSignal, For, on, onCleanup, Show } from "solid-js";
import type { Read } from "../api";
import type { Batch, BatchState, CommandState } from "../generated/protocol";
import { Problem } from "../parts/problem";
import { pageHref } from "../router";
import { useApp } from "../store/app";
import { type CommandFilter, createCommandList, noCommandFilter } from "../store/command-list";
import { describeRead, stateTexts, type Tone } from "../text/command";
import { formatRate } from "../text/number";
import { CommandTable } from "./command-table";

const tones: Record<BatchState, Tone> = {
  running: "working",
  paused: "waiting",
  done: "good",
  aborted: "bad",
  cancelled: "quiet",
};

/** The page of the batch `id`. */
export default function BatchPage(props: { id: string }) {
  const app = useApp();
  const [batch, setBatch] = createSignal<Batch | null>(null);
  const [problem, setProblem] = createSignal<string | null>(null);
  const { query, setQuery } = app.place;
  const filter = createMemo<CommandFilter>(
    () => ({ device: query().device ?? "", state: query().state ?? "", name: "", batch: props.id }),
    noCommandFilter,
    { equals: (one, other) => JSON.stringify(one) === JSON.stringify(other) },
  );
  const list = createCommandList(app, filter);
  /** Counts what came live: it is newer than what was asked for before. */
  let heard = 0;
  const take = async (asked: Promise<Read<Batch>>, problemOf: (read: Read<Batch>) => string | null) => {
    const mark = heard;
    const read = await asked;
    setProblem(problemOf(read));
    if (read.kind === "ok" && heard === mark) setBatch(read.value);
  };
  const load = () => take(app.api.batch(props.id), (read) => (read.kind === "ok" ? null : read.message));
  createEffect(
    on(app.isLive, (isLive) => {
      if (isLive) void load();
    }),
  );
  const unlisten = app.listen([`batches/${props.id}`], (events) => {
    for (const event of events) {
      if (event.kind === "void") void load();
      if (event.kind !== "update") continue;
      heard += 1;
      setBatch(event.update.data as Batch);
    }
  });
  onCleanup(unlisten);
  const steer = (act: "pause" | "resume" | "cancel") => take(app.api.steerBatch(props.id, act), describeRead);
  const is = (state: BatchState) => batch()?.state === state;
  return (
    <Show
      when={batch()}
      fallback={
        <>
          <h1 class="sr-only">Batch</h1>
          <p class="empty" data-testid="unknown-batch">
            {problem() ?? "Looking for the batch …"} <a href={pageHref("commands")}>All commands</a>
          </p>
        </>
      }
    >
      {(known) => (
        <div class="page" data-testid="batch-page" data-state={known().state}>
          <a class="back" href={pageHref("commands")}>
            ← Commands
          </a>
          <div class="page-head">
            <h1>Batch</h1>
            <span class="mono muted">{props.id}</span>
            <span class="badge values" data-tone={tones[known().state]} data-testid="batch-state">
              {known().state}
            </span>
            <span class="grow" />
            <Show when={is("running")}>
              <Act label="Pause" testid="batch-pause" act={() => void steer("pause")} />
            </Show>
            <Show when={is("paused")}>
              <Act label="Resume" testid="batch-resume" act={() => void steer("resume")} />
            </Show>
            <Show when={is("running") || is("paused")}>
              <Act label="Cancel the rest" testid="batch-cancel" act={() => void steer("cancel")} />
            </Show>
          </div>
          <Problem text={problem()} notice />
          <Progress batch={known()} chosen={filter().state} choose={(state) => setQuery({ state })} />
          <CommandTable list={list} />
        </div>
      )}
    </Show>
  );
}

function Act(props: { label: string; testid: string; act: () => void }) {
  const app = useApp();
  return (
    <button type="button" data-testid={props.testid} disabled={!app.canAct()} onClick={() => props.act()}>
      {props.label}
    </button>
  );
}

/** The share of each state, which filter the rows too. */
function Progress(props: { batch: Batch; chosen: string; choose: (state: string) => void }) {
  const count = (state: CommandState) => props.batch.counts[state] ?? 0;
  /** By their names, so that a button keeps the focus while the numbers change. */
  const states = () =>
    (Object.keys(stateTexts) as CommandState[]).filter((state) => count(state) > 0).reverse();
  const ended = () =>
    states()
      .filter((state) => stateTexts[state].isFinal)
      .reduce((sum, state) => sum + count(state), 0);
  return (
    <section class="card batch-progress values" aria-label="Progress">
      <p class="num">
        <b data-testid="batch-ended">{formatRate(ended())}</b> of{" "}
        <span data-testid="batch-total">{formatRate(props.batch.total)}</span> ended
      </p>
      <div class="batch-bar" aria-hidden="true">
        <For each={states()}>
          {(state) => <span data-tone={stateTexts[state].tone} style={{ "flex-grow": count(state) }} />}
        </For>
      </div>
      <div class="batch-counts">
        <For each={states()}>
          {(state) => (
            <button
              type="button"
              class="quiet"
              data-testid={`batch-count-${state}`}
              data-tone={stateTexts[state].tone}
              aria-pressed={props.chosen === state}
              onClick={() => props.choose(props.chosen === state ? "" : state)}
            >
              <span class="badge" data-tone={stateTexts[state].tone}>
                {stateTexts[state].label}
              </span>
              <span class="num">{formatRate(count(state))}</span>
            </button>
          )}
        </For>
      </div>
    </section>
  );
}
