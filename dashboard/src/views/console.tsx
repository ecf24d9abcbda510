// The console's form: whom, what, and how fast.
import { createEffect, createMemo, createResource, createSignal, on, Show } from "solid-js";
import type { DryRun } from "../generated/protocol";
import { Problem } from "../parts/problem";
import { ViewersNote } from "../parts/viewers-note";
import { batchHref, commandHref } from "../router";
import { useApp } from "../store/app";
import { createDraft } from "../store/draft";
import { batchOf, devicesOf, firstTarget, type Target } from "../store/target";
import { describeAnswer, describeRead } from "../text/command";
import { CommandFields } from "./command-fields";
import { ConsoleTarget } from "./console-target";
import { DryRunResult } from "./dry-run";

/** Devices that a dry run asks about one by one. */
const triedMax = 25;

/** Ids among which one that was written to its end is found: it stands before those that go on. */
const idsMax = 12;

/** What many dry runs came to. */
interface Outlook {
  readonly tried: number;
  readonly of: number;
  readonly valid: number;
  readonly offline: number;
  readonly first: DryRun;
}

/** The form. */
export function Console() {
  const app = useApp();
  const draft = createDraft();
  const [target, setTarget] = createSignal<Target>(firstTarget);
  const [isBusy, setBusy] = createSignal(false);
  const [problem, setProblem] = createSignal<string | null>(null);
  const [outlook, setOutlook] = createSignal<Outlook | null>(null);
  const [sent, setSent] = createSignal<{ href: string; text: string } | null>(null);
  const change = (part: Partial<Target>) => {
    setOutlook(null);
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
  const type = useTypeOf(target);
  let form!: HTMLFormElement;

  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    const request = draft.request();
    if (request === null || isBusy()) return;
    setBusy(true);
    setSent(null);
    setOutlook(null);
    if (target().kind === "device") {
      const answer = await app.client.command(target().device, request);
      setProblem(describeAnswer(answer));
      if (answer.kind === "ok")
        setSent({ href: commandHref(answer.reply.id), text: `to ${answer.reply.device}` });
    } else {
      const batch = batchOf(target(), app.fleet.selected(), request);
      const read = batch === null ? null : await app.api.createBatch(batch);
      setProblem(read === null ? "Nobody is named." : describeRead(read));
      if (read?.kind === "ok")
        setSent({ href: batchHref(read.value.id), text: `to ${read.value.total} devices` });
    }
    setBusy(false);
  };
  const tryOut = async () => {
    const request = draft.request();
    if (!form.reportValidity() || request === null) return;
    setBusy(true);
    const ids = await devicesOf(app, target());
    const reads = await Promise.all(ids.slice(0, triedMax).map((id) => app.api.dryRun(id, request)));
    setBusy(false);
    const failed = reads.find((read) => read.kind === "failed");
    const runs = reads.flatMap((read) => (read.kind === "ok" ? [read.value] : []));
    const first = runs.find(({ valid }) => !valid) ?? runs[0];
    setProblem(failed === undefined ? (ids.length === 0 ? "Nobody is named." : null) : failed.message);
    setOutlook(
      first === undefined
        ? null
        : {
            ...{ tried: runs.length, of: ids.length, first },
            valid: runs.filter(({ valid }) => valid).length,
            offline: runs.filter(({ receiver }) => receiver === "offline").length,
          },
    );
  };
  const canSend = () => app.canAct() && !isBusy() && draft.understood().kind === "ok";
  return (
    <section class="card console" aria-labelledby="console-title">
      <h2 id="console-title">Send a command</h2>
      <form class="command-form" data-testid="console" ref={form} onSubmit={(event) => void send(event)}>
        <ConsoleTarget target={target()} change={change} />
        <CommandFields draft={draft} type={type()} />
        <div class="form-end">
          <button type="submit" class="primary" data-testid="console-send" disabled={!canSend()}>
            {target().kind === "device" ? "Send" : "Send to all of them"}
          </button>
          <button
            type="button"
            data-testid="console-dry-run"
            disabled={!canSend()}
            onClick={() => void tryOut()}
          >
            Dry run
          </button>
        </div>
        <ViewersNote />
        <Show when={outlook()}>
          {(shown) => (
            <>
              <DryRunResult dryRun={shown().first} />
              <Show when={shown().of > 1}>
                <p class="muted num" data-testid="dry-run-many">
                  Tried on {shown().tried} of {shown().of}: {shown().valid} would take it, {shown().offline}{" "}
                  are offline.
                </p>
              </Show>
            </>
          )}
        </Show>
        <Problem text={problem()} testid="console-problem" />
        <Show when={sent()}>
          {(one) => (
            <p role="status" data-testid="console-sent">
              Sent {one().text}. <a href={one().href}>Watch it</a>
            </p>
          )}
        </Show>
      </form>
    </section>
  );
}

/** The type of the devices that are meant, where it is one. */
function useTypeOf(target: () => Target): () => string | null {
  const app = useApp();
  const [type] = createResource(
    () => ({ ...target(), selected: app.fleet.selected(), known: app.roster().isKnown }),
    async ({ kind, type, device, selected }) => {
      if (kind === "type") return type;
      const id = kind === "device" ? device : [...selected][0];
      if (id === undefined || id === "" || kind === "tag") return null;
      // What is still being typed is nobody, and the gateway is not asked for each letter of it.
      if (kind === "device" && !(await app.client.find(id, idsMax)).includes(id)) return null;
      const read = await app.api.device(id);
      return read.kind === "ok" ? read.value.type : null;
    },
    { initialValue: null },
  );
  return () => type.latest;
}
