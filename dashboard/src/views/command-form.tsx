// Tells a device to do something.
import { createSignal, createUniqueId, Show } from "solid-js";
import type { Command, DryRun } from "../generated/protocol";
import { Problem } from "../parts/problem";
import { ViewersNote } from "../parts/viewers-note";
import { useApp } from "../store/app";
import { createDraft } from "../store/draft";
import { describeAnswer } from "../text/command";
import { CommandFields } from "./command-fields";
import { DryRunResult } from "./dry-run";

/** The form; `sent` are the device's commands, the newest first, and `created` is told of each command that the gateway took. */
export function CommandForm(props: {
  device: string;
  type: string | null;
  isOffline: boolean;
  sent: readonly Command[];
  created: (command: Command) => void;
}) {
  const app = useApp();
  const id = createUniqueId();
  const draft = createDraft();
  const [isSending, setSending] = createSignal(false);
  const [problem, setProblem] = createSignal<string | null>(null);
  const [outlook, setOutlook] = createSignal<DryRun | null>(null);
  let form!: HTMLFormElement;

  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    const request = draft.request();
    if (request === null || isSending()) return;
    setSending(true);
    setOutlook(null);
    const answer = await app.client.command(props.device, request);
    setSending(false);
    setProblem(describeAnswer(answer));
    if (answer.kind === "ok") props.created(answer.reply);
  };
  const tryOut = async () => {
    const request = draft.request();
    if (isSending() || !form.reportValidity() || request === null) return;
    const read = await app.api.dryRun(props.device, request);
    setOutlook(read.kind === "ok" ? read.value : null);
    setProblem(read.kind === "ok" ? null : `${read.message} (${read.code})`);
  };
  // Not disabled while it sends: the keyboard's focus would be lost.
  const canTry = () => app.isLive() && draft.understood().kind === "ok";
  return (
    <section class="card" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>Send a command</h2>
      <form class="command-form" data-testid="command-form" ref={form} onSubmit={(event) => void send(event)}>
        <CommandFields draft={draft} type={props.type} sent={props.sent} />
        <div class="form-end">
          <button
            type="submit"
            class="primary"
            data-testid="command-send"
            disabled={!canTry() || app.isViewer()}
            aria-disabled={isSending()}
          >
            {isSending() ? "Sending …" : "Send"}
          </button>
          <button
            type="button"
            data-testid="command-dry-run"
            disabled={!canTry()}
            onClick={() => void tryOut()}
          >
            Dry run
          </button>
        </div>
        <Show when={outlook()}>{(dryRun) => <DryRunResult dryRun={dryRun()} />}</Show>
        <ViewersNote canTry />
        <Show when={!app.isLive()}>
          <p class="muted">Commands can be sent while the connection is live.</p>
        </Show>
        <Show when={app.isLive() && props.isOffline}>
          <p class="muted">The device is offline: the command waits for it, as long as said above.</p>
        </Show>
        <Problem text={problem()} testid="command-problem" />
      </form>
    </section>
  );
}
