// The console's form: whom, what, and how fast.
import { createEffect, createMemo, createSignal, on, Show } from "solid-js";
import { Problem } from "../parts/problem";
import { ViewersNote } from "../parts/viewers-note";
import { useApp } from "../store/app";
import { createDraft } from "../store/draft";
import { createReach } from "../store/reach";
import { createSender, type Outlook } from "../store/sender";
import { firstTarget, isNobody, type Target } from "../store/target";
import { reachText, typesText } from "../text/reach";
import type { Census } from "../worker/census";
import { CommandFields } from "./command-fields";
import { ConsoleConfirm } from "./console-confirm";
import { ConsoleTarget } from "./console-target";
import { DryRunResult } from "./dry-run";

/** The form. */
export function Console() {
  const app = useApp();
  const draft = createDraft();
  const [target, setTarget] = createSignal<Target>(firstTarget);
  const [isAsked, setAsked] = createSignal(false);
  const sender = createSender(app);
  const change = (part: Partial<Target>) => {
    sender.forget();
    setTarget((before) => ({ ...before, ...part }));
  };
  const to = createMemo(() => app.place.query().to);
  createEffect(
    // Who comes from the fleet has chosen already. What the list is narrowed by changes nothing of whom is meant.
    on(to, (to) => {
      const { device } = app.place.query();
      if (to === "selected" && app.fleet.selected().size > 0) change({ kind: "selected" });
      else if (to === "device" && device !== undefined) change({ kind: "device", device });
    }),
  );
  const isOne = () => target().kind === "device";
  const reach = createReach(app, target);
  /** The type of those that are meant, where it is one. */
  const type = () => {
    const [first, ...others] = reach()?.types ?? [];
    return others.length > 0 ? null : first?.[0] || null;
  };
  let form!: HTMLFormElement;

  const send = () => {
    const request = draft.request();
    if (request !== null) void sender.send(target(), request);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isOne() || isNobody(target(), app.fleet.selected())) send();
    else setAsked(true);
  };
  const tryOut = () => {
    const request = draft.request();
    if (form.reportValidity() && request !== null) void sender.tryOut(target(), request);
  };
  // Not disabled while it sends: the keyboard's focus would be lost.
  const canTry = () => app.isLive() && draft.understood().kind === "ok";
  const canSend = () => canTry() && !app.isViewer();
  return (
    <section class="card console" aria-labelledby="console-title">
      <h2 id="console-title">Send a command</h2>
      <form class="command-form" data-testid="console" ref={form} onSubmit={submit}>
        <ConsoleTarget target={target()} change={change} />
        <Reach census={isOne() ? null : reach()} />
        <CommandFields draft={draft} type={type()} sent={[]} />
        <div class="form-end">
          <button
            type="submit"
            class="primary"
            data-testid="console-send"
            disabled={!canSend()}
            aria-disabled={sender.isBusy()}
          >
            {isOne() ? "Send" : "Send to all of them …"}
          </button>
          <button type="button" data-testid="console-dry-run" disabled={!canTry()} onClick={tryOut}>
            Dry run
          </button>
        </div>
        <ViewersNote canTry />
        <Show when={sender.outlook()}>{(outlook) => <OutlookText outlook={outlook()} />}</Show>
        <Problem text={sender.problem()} testid="console-problem" />
        <Show when={sender.sent()}>
          {(one) => (
            <p role="status" data-testid="console-sent">
              Sent {one().text}. <a href={one().href}>Watch it</a>
            </p>
          )}
        </Show>
      </form>
      <Show when={isAsked() && reach()}>
        {(census) => (
          <ConsoleConfirm
            census={census()}
            request={draft.request()}
            send={send}
            close={() => setAsked(false)}
          />
        )}
      </Show>
    </section>
  );
}

/** How many are meant, and where no form can be for them. */
function Reach(props: { census: Census | null }) {
  return (
    <Show when={props.census}>
      {(census) => (
        <p class="hint" role="status" data-testid="target-reach">
          {reachText(census())}. {typesText(census())}
        </p>
      )}
    </Show>
  );
}

/** What a dry run came to; of many, the first that would be refused. */
function OutlookText(props: { outlook: Outlook }) {
  return (
    <>
      <DryRunResult dryRun={props.outlook.first} />
      <Show when={props.outlook.of > 1}>
        <p class="muted num" data-testid="dry-run-many">
          Tried on {props.outlook.tried} of {props.outlook.of}: {props.outlook.valid} would take it,{" "}
          {props.outlook.offline} are offline.
        </p>
      </Show>
    </>
  );
}
