// What a device was told to do, newest first.
import { createSignal, For, Show } from "solid-js";
import { Problem, unread } from "../parts/problem";
import type { Commands } from "../store/commands";
import { CommandCard } from "./command-card";

/** Commands shown at first. */
const shownAtFirst = 20;

/** The list. */
export function CommandList(props: {
  commands: Commands;
  /** Whether those from before the page was opened have been read. */
  isRead: boolean;
  problem: string | null;
  retry: () => void;
}) {
  const [all, setAll] = createSignal(false);
  const shown = () => (all() ? props.commands.all() : props.commands.all().slice(0, shownAtFirst));
  const hidden = () => props.commands.all().length - shown().length;
  return (
    <section class="card" aria-labelledby="commands-title">
      <h2 id="commands-title">Commands</h2>
      <Problem text={unread("The commands", props.problem)}>
        <button type="button" onClick={() => props.retry()}>
          Read them again
        </button>
      </Problem>
      <ul class="commands values" data-testid="commands">
        <For
          each={shown()}
          fallback={
            <li class="muted">{props.isRead ? "None has been sent to it." : "Waiting for the list …"}</li>
          }
        >
          {(record) => (
            <li>
              <CommandCard record={record} commands={props.commands} />
            </li>
          )}
        </For>
      </ul>
      <Show when={hidden() > 0}>
        <button type="button" onClick={() => setAll(true)}>
          Show {hidden()} more
        </button>
      </Show>
    </section>
  );
}
