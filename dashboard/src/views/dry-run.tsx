// What would become of a command.
import { For, Show } from "solid-js";
import type { DryRun } from "../generated/protocol";
import { Moment } from "../parts/moment";
import { useApp } from "../store/app";

/** The gateway's word on it. */
export function DryRunResult(props: { dryRun: DryRun }) {
  const app = useApp();
  return (
    <div class="dry-run" role="status" data-testid="dry-run" data-valid={String(props.dryRun.valid)}>
      <Show
        when={props.dryRun.valid}
        fallback={
          <ul>
            <For each={props.dryRun.errors}>{(error) => <li class="problem">{error}</li>}</For>
          </ul>
        }
      >
        It would be taken: the device is {props.dryRun.receiver},{" "}
        {props.dryRun.position === 0 ? "nothing goes before it" : `${props.dryRun.position} go before it`},
        and it would expire unsent at <Moment at={props.dryRun.deliver_by} now={app.now()} />.
        <Show when={!props.dryRun.allowed}> From you it would not be taken: you may not command it.</Show>
      </Show>
    </div>
  );
}
