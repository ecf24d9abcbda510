// One command: what was asked, and each step of what became of it, with who made it and why.
import { createEffect, createMemo, createSignal, For, on, onCleanup, Show } from "solid-js";
import type { Command, CommandDetails } from "../generated/protocol";
import { Problem } from "../parts/problem";
import { batchHref, deviceHref, pageHref } from "../router";
import { useApp } from "../store/app";
import { onceMore } from "../store/once-more";
import { describeCommand, describeRead, paramsText, stateTexts } from "../text/command";
import { formatMoment } from "../text/time";
import { Timeline } from "./timeline";

/** The page of the command `id`. */
export default function CommandPage(props: { id: string }) {
  const app = useApp();
  const [details, setDetails] = createSignal<CommandDetails | null>(null);
  const [problem, setProblem] = createSignal<string | null>(null);
  const [refusal, setRefusal] = createSignal<string | null>(null);
  const load = onceMore(async () => {
    const read = await app.api.command(props.id);
    setProblem(read.kind === "ok" ? null : read.message);
    if (read.kind === "ok") setDetails(read.value);
  });
  createEffect(
    on(app.isLive, (isLive) => {
      if (isLive) void load();
    }),
  );
  const device = createMemo(() => details()?.device ?? null);
  createEffect(() => {
    const id = device();
    if (id === null) return;
    const unlisten = app.listen([`commands/${id}`], (events) => {
      for (const event of events) {
        if (event.kind === "void") void load();
        if (event.kind !== "update") continue;
        const command = event.update.data as Command;
        // The channel tells where it is; the steps with their reasons are read.
        if (command.id === props.id && event.update.snapshot !== true) void load();
      }
    });
    onCleanup(unlisten);
  });
  const cancel = async () => {
    const read = await app.api.cancelCommand(props.id);
    setRefusal(describeRead(read));
    void load();
  };
  return (
    <Show
      when={details()}
      fallback={
        <>
          <h1 class="sr-only">Command</h1>
          <p class="empty" data-testid="unknown-command">
            {problem() ?? "Looking for the command …"} <a href={pageHref("commands")}>All commands</a>
          </p>
        </>
      }
    >
      {(command) => (
        <div class="page" data-testid="command-page" data-state={command().state}>
          <a class="back" href={pageHref("commands")}>
            ← Commands
          </a>
          <div class="page-head">
            <h1 class="mono">
              {command().name} <span class="muted">{paramsText(command().params)}</span>
            </h1>
            <span
              class="badge values"
              data-tone={stateTexts[command().state].tone}
              data-testid="command-state"
            >
              {stateTexts[command().state].label}
            </span>
            <Show when={command().progress !== null && !stateTexts[command().state].isFinal}>
              <span class="muted num" data-testid="command-progress">
                {command().progress} %
              </span>
            </Show>
            <span class="muted">{describeCommand(command(), app.now())}</span>
            <span class="grow" />
            <Show when={!stateTexts[command().state].isFinal && command().state !== "cancelling"}>
              <button
                type="button"
                data-testid="command-cancel"
                disabled={!app.canAct()}
                onClick={() => void cancel()}
              >
                Cancel
              </button>
            </Show>
          </div>
          <Problem text={refusal() ?? problem()} notice />
          <Facts command={command()} />
          <Timeline command={command()} />
          <Outcome command={command()} />
        </div>
      )}
    </Show>
  );
}

function Facts(props: { command: CommandDetails }) {
  const facts = (): [string, string][] => [
    ["Asked by", props.command.created_by ?? "somebody"],
    ["Attempts", String(props.command.attempt)],
    ["Priority", String(props.command.priority)],
    ["Verified", props.command.verified === null ? "–" : props.command.verified ? "yes" : "no"],
    ["Id", props.command.id],
  ];
  return (
    <dl class="strip values">
      <div>
        <dt>Device</dt>
        <dd>
          <a href={deviceHref(props.command.device)}>{props.command.device}</a>
        </dd>
      </div>
      <Show when={props.command.batch}>
        {(batch) => (
          <div>
            <dt>Batch</dt>
            <dd>
              <a href={batchHref(batch())}>{batch().slice(0, 13)}</a>
            </dd>
          </div>
        )}
      </Show>
      <div>
        <dt>Created</dt>
        <dd class="num">{formatMoment(props.command.created_at)}</dd>
      </div>
      <For each={facts()}>
        {([name, value]) => (
          <div>
            <dt>{name}</dt>
            <dd class="num">{value}</dd>
          </div>
        )}
      </For>
    </dl>
  );
}

function Outcome(props: { command: CommandDetails }) {
  return (
    <>
      <Show when={props.command.error}>
        {(error) => (
          <p class="notice values" data-testid="command-error">
            {error().message} <span class="mono">({error().code})</span>
          </p>
        )}
      </Show>
      <Show when={props.command.result !== null && props.command.result !== undefined}>
        <section class="card values" aria-label="Result">
          <h2>Result</h2>
          <pre class="result mono" data-testid="command-result">
            {JSON.stringify(props.command.result, null, 2)}
          </pre>
        </section>
      </Show>
    </>
  );
}
