// The steps of a command one below the other, and the deadlines that are still ahead.
import { For, Show } from "solid-js";
import type { CommandDetails, Transition } from "../generated/protocol";
import { Moment } from "../parts/moment";
import { useApp } from "../store/app";
import { actorText, stateTexts } from "../text/command";
import { formatDuration, formatSpan } from "../text/time";

/** A deadline that may still come. */
interface Ahead {
  readonly at: number;
  readonly text: string;
}

/** The story. */
export function Timeline(props: { command: CommandDetails }) {
  const app = useApp();
  const steps = () => props.command.transitions;
  const since = (index: number) =>
    (steps()[index]?.at ?? 0) - (steps()[index - 1]?.at ?? steps()[index]?.at ?? 0);
  const isNote = (step: Transition, index: number) => index > 0 && step.state === steps()[index - 1]?.state;
  return (
    <ol class="timeline card values" aria-label="What became of it" data-testid="timeline">
      <For each={steps()}>
        {(step, index) => (
          <li
            data-tone={stateTexts[step.state].tone}
            data-state={step.state}
            classList={{ note: isNote(step, index()) }}
          >
            <span class="timeline-at num">
              <Moment at={step.at} now={app.now()} />
              <span class="muted">{index() === 0 ? "" : ` +${formatDuration(since(index()))}`}</span>
            </span>
            <div>
              <b>{isNote(step, index()) ? "note" : stateTexts[step.state].label}</b>{" "}
              <span class="muted">
                by {actorText(step.by)}
                <Show when={stateTexts[step.state].meaning !== ""}>: {stateTexts[step.state].meaning}</Show>
              </span>
              <Show when={step.reason}>{(reason) => <p>{reason()}</p>}</Show>
            </div>
          </li>
        )}
      </For>
      <For each={aheadOf(props.command)}>
        {(deadline) => (
          <li class="ahead">
            <span class="timeline-at num">
              <Moment at={deadline.at} now={app.now()} />
            </span>
            <div class="muted">
              {deadline.text} <span class="num">in {formatSpan(deadline.at - app.now())}</span>
            </div>
          </li>
        )}
      </For>
    </ol>
  );
}

function aheadOf({ state, not_before, deliver_by, finish_by }: CommandDetails): Ahead[] {
  if (stateTexts[state].isFinal) return [];
  if (state === "scheduled" && not_before !== null) {
    return [
      { at: not_before, text: "may be sent" },
      { at: deliver_by, text: "expires unless it has been sent" },
    ];
  }
  if (state === "queued") return [{ at: deliver_by, text: "expires unless it has been sent" }];
  return finish_by === null ? [] : [{ at: finish_by, text: "times out unless the device has answered" }];
}
