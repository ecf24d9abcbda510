// Sends what the console's form says, to one device or to many, or asks what would become of it.
import { type Accessor, createSignal } from "solid-js";
import type { CommandRequest, DryRun } from "../generated/protocol";
import { batchHref, commandHref } from "../router";
import { describeAnswer, describeRead } from "../text/command";
import { devicesText } from "../text/reach";
import type { App } from "./app";
import { batchOf, devicesOf, type Target } from "./target";

/** Devices that a dry run asks about one by one. */
const triedMax = 25;

/** What many dry runs came to. */
export interface Outlook {
  readonly tried: number;
  readonly of: number;
  readonly valid: number;
  readonly offline: number;
  readonly first: DryRun;
}

/** What was asked last, and what became of it. */
export interface Sender {
  readonly isBusy: Accessor<boolean>;
  readonly problem: Accessor<string | null>;
  readonly outlook: Accessor<Outlook | null>;
  /** Where what was sent can be followed. */
  readonly sent: Accessor<{ href: string; text: string } | null>;
  readonly send: (target: Target, request: CommandRequest) => Promise<void>;
  readonly tryOut: (target: Target, request: CommandRequest) => Promise<void>;
  /** What was found out is about another target. */
  readonly forget: () => void;
}

/** Makes one. */
export function createSender(app: App): Sender {
  const [isBusy, setBusy] = createSignal(false);
  const [problem, setProblem] = createSignal<string | null>(null);
  const [outlook, setOutlook] = createSignal<Outlook | null>(null);
  const [sent, setSent] = createSignal<{ href: string; text: string } | null>(null);

  const sendToOne = async (device: string, request: CommandRequest) => {
    const answer = await app.client.command(device, request);
    setProblem(describeAnswer(answer));
    if (answer.kind === "ok")
      setSent({ href: commandHref(answer.reply.id), text: `to ${answer.reply.device}` });
  };
  const sendToMany = async (target: Target, request: CommandRequest) => {
    const batch = batchOf(target, app.fleet.selected(), request);
    const read = batch === null ? null : await app.api.createBatch(batch);
    setProblem(read === null ? nobody : describeRead(read));
    if (read?.kind === "ok")
      setSent({ href: batchHref(read.value.id), text: `to ${devicesText(read.value.total)}` });
  };
  const once = async (act: () => Promise<void>) => {
    if (isBusy()) return;
    setBusy(true);
    setOutlook(null);
    setSent(null);
    await act();
    setBusy(false);
  };
  return {
    isBusy,
    problem,
    outlook,
    sent,
    send: (target, request) =>
      once(() =>
        target.kind === "device" ? sendToOne(target.device, request) : sendToMany(target, request),
      ),
    tryOut: (target, request) =>
      once(async () => {
        const ids = await devicesOf(app, target);
        const reads = await Promise.all(ids.slice(0, triedMax).map((id) => app.api.dryRun(id, request)));
        const failed = reads.find((read) => read.kind === "failed");
        setProblem(failed?.message ?? (ids.length === 0 ? nobody : null));
        setOutlook(
          outlookOf(
            reads.flatMap((read) => (read.kind === "ok" ? [read.value] : [])),
            ids.length,
          ),
        );
      }),
    forget: () => setOutlook(null),
  };
}

const nobody = "Nobody is named.";

function outlookOf(runs: readonly DryRun[], of: number): Outlook | null {
  const first = runs.find(({ valid }) => !valid) ?? runs[0];
  if (first === undefined) return null;
  return {
    ...{ tried: runs.length, of, first },
    valid: runs.filter(({ valid }) => valid).length,
    offline: runs.filter(({ receiver }) => receiver === "offline").length,
  };
}
