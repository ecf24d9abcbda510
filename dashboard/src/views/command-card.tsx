// One command: what it was, how far it has come, what came of it.
import { createEffect, createMemo, createSignal, For, Show, untrack } from "solid-js";
import { Moment } from "../parts/moment";
import { Problem } from "../parts/problem";
import { commandHref } from "../router";
import { useApp } from "../store/app";
import type { CommandRecord, Commands, Stage } from "../store/commands";
import { describeAnswer, describeCommand, paramsText, stateTexts } from "../text/command";
import { formatDuration, formatMoment, formatSpan } from "../text/time";

/** The card; open at first while the command is, or where its end came while somebody looked on. */
export function CommandCard(props: { record: CommandRecord; commands: Commands }) {
  const app = useApp();
  const record = () => props.record.read();
  const command = () => record().command;
  const state = createMemo(() => command().state);
  const text = () => stateTexts[state()];
  const [isOpen, setOpen] = createSignal(untrack(() => !text().isFinal || props.record.isWitnessed));
  const [problem, setProblem] = createSignal<string | null>(null);

  createEffect(() => {
    if (isOpen() && !record().isWhole) readStory(state());
  });
  /** Reads what happened before we listened; once for each state it is found in. */
  let storyReadFor: string | null = null;
  const readStory = (found: string) => {
    if (storyReadFor === found) return;
    storyReadFor = found;
    void app.api.command(props.record.command.id).then((read) => {
      if (read.kind === "ok") props.commands.tellStory(read.value);
    });
  };
  const cancel = async () => setProblem(describeAnswer(await app.client.cancel(command().id)));
  return (
    <details
      class="command"
      data-testid="command"
      data-command={props.record.command.id}
      data-state={state()}
      data-tone={text().tone}
      open={isOpen()}
      onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
    >
      <summary>
        <span class="command-title mono">
          <b>{command().name}</b> {paramsText(command().params)}
        </span>
        <span class="badge" data-tone={text().tone}>
          {text().label}
        </span>
        <span class="muted">
          <Moment at={command().created_at} now={app.now()} />
        </span>
      </summary>
      <Show when={command().progress !== null && !text().isFinal}>
        <div class="progress">
          <progress max="100" value={command().progress ?? 0} aria-label={`Progress of ${command().name}`} />
          <span class="num">{command().progress} %</span>
        </div>
      </Show>
      <Stages stages={record().stages} />
      <p class="command-word">
        <span class="muted">{describeCommand(command(), app.now())}</span>
        <Show when={command().late}>
          <span class="muted"> The answer came late.</span>
        </Show>
        <Show when={command().attempt > 1}>
          <span class="muted num"> Attempt {command().attempt}.</span>
        </Show>
        <Show when={command().verified !== null}>
          <span class="muted">
            {command().verified === true ? " The effect was seen." : " The effect was not seen."}
          </span>
        </Show>
        <span class="command-time muted num">{elapsedText(record(), app.now())}</span>
      </p>
      <Show when={command().error}>
        {(error) => (
          <p class="problem" data-testid="command-error">
            {error().message} <span class="mono">({error().code})</span>
          </p>
        )}
      </Show>
      <Show when={hasContent(command().result)}>
        <pre class="result mono" data-testid="command-result">
          {JSON.stringify(command().result, null, 1)}
        </pre>
      </Show>
      <Show when={!text().isFinal && state() !== "cancelling"}>
        <button
          type="button"
          data-testid="command-cancel"
          disabled={!app.canAct()}
          onClick={() => void cancel()}
        >
          Cancel
        </button>
      </Show>
      <p>
        <a href={commandHref(props.record.command.id)} data-testid="command-open">
          Its whole story
        </a>
      </p>
      <Problem text={problem()} />
    </details>
  );
}

/** The steps it took, each with the time since the one before. */
function Stages(props: { stages: readonly Stage[] }) {
  return (
    <ol class="stages" aria-label="Stages">
      <For each={props.stages}>
        {(stage, index) => (
          <li data-tone={stateTexts[stage.state].tone} title={titleOf(stage)}>
            {stateTexts[stage.state].label}
            <Show when={index() > 0}>
              <span class="muted num">
                +{formatDuration(stage.at - (props.stages[index() - 1]?.at ?? stage.at))}
              </span>
            </Show>
          </li>
        )}
      </For>
    </ol>
  );
}

/** When it came to that, and why where it was told. */
function titleOf({ at, reason }: Stage): string {
  return reason === null ? formatMoment(at) : `${formatMoment(at)}: ${reason}`;
}

/** How long it has taken so far, or took in all where its end is known. */
function elapsedText({ command, stages }: CommandRecord, now: number): string {
  if (!stateTexts[command.state].isFinal) return `${formatSpan(now - command.created_at)} so far`;
  const last = stages.at(-1);
  return last?.state === command.state ? `${formatDuration(last.at - command.created_at)} in all` : "";
}

function hasContent(result: unknown): boolean {
  if (result === null || result === undefined) return false;
  return typeof result !== "object" || Object.keys(result).length > 0;
}
