// What a device should be beside what it says that it is; and a change of it that is being written.
import { createEffect, createMemo, createSignal, on, onCleanup, type Signal } from "solid-js";
import type { DeviceId, DeviceState } from "../generated/protocol";
import { describeRead } from "../text/command";
import { tryJson } from "../text/params";
import { compareTexts } from "../worker/select";
import type { App } from "./app";

/** A member of either object. */
export interface Member {
  readonly name: string;
  readonly desired: unknown;
  readonly reported: unknown;
  readonly standing: "same" | "differs" | "only_reported";
}

/** What is being written of what is desired, and the version that it begins from. */
export interface Wish {
  readonly text: string;
  readonly version: number;
}

/** Follows the state of a device. What is being written (`draft`, null while nothing is) is kept by the caller. */
export function createShadow(app: App, id: DeviceId, [draft, setDraft]: Signal<Wish | null>) {
  const [state, setState] = createSignal<DeviceState | null>(null);
  const [problem, setProblem] = createSignal<string | null>(null);
  const [isSaving, setSaving] = createSignal(false);

  const take = (next: DeviceState) => setState((before) => ({ ...before, ...next }));
  const load = async () => {
    const read = await app.api.desired(id);
    setProblem(read.kind === "ok" ? null : read.message);
    if (read.kind === "ok") take(read.value.state);
  };
  const unlisten = app.listen([`state/${id}`], (events) => {
    for (const event of events) {
      if (event.kind === "update") take(event.update.data as DeviceState);
      else if (event.kind === "void") void load();
    }
  });
  onCleanup(unlisten);
  createEffect(
    on(app.isLive, (isLive) => {
      if (isLive) void load();
    }),
  );
  const begin = () => {
    const now = state();
    setProblem(null);
    setDraft({ text: JSON.stringify(now?.desired ?? {}, null, 2), version: now?.version ?? 0 });
  };
  const understood = createMemo(() => readObject(draft()?.text ?? "{}"));
  const save = async () => {
    const written = draft();
    const read = understood();
    if (written === null || read.kind === "bad") return;
    setSaving(true);
    const tag = written.version === 0 ? null : `"${written.version}"`;
    const answer = await app.api.setDesired(id, read.value, tag);
    setSaving(false);
    if (answer.kind === "ok") {
      take(answer.value.state);
      setProblem(null);
      return void setDraft(null);
    }
    const isConflict = answer.status === 412 || answer.status === 428;
    setProblem(isConflict ? conflictText : describeRead(answer));
    if (isConflict) await app.api.desired(id).then((now) => now.kind === "ok" && take(now.value.state));
  };
  return {
    state,
    members: createMemo(() => membersOf(state())),
    problem,
    draft,
    understood,
    isSaving,
    /** Whether somebody else has changed it since the writing began. */
    isOvertaken: () => draft() !== null && state() !== null && draft()?.version !== state()?.version,
    begin,
    write: (text: string) => setDraft((before) => ({ text, version: before?.version ?? 0 })),
    /** Goes on writing the same, on top of what it is now. */
    rebase: () => {
      setProblem(null);
      setDraft((before) => (before === null ? null : { ...before, version: state()?.version ?? 0 }));
    },
    giveUp: () => {
      setProblem(null);
      setDraft(null);
    },
    save,
  };
}

const conflictText = "Somebody has changed it meanwhile: nothing was saved.";

/** The members of both, by name. */
export function membersOf(state: DeviceState | null): Member[] {
  if (state === null) return [];
  const { desired = {}, reported = {} } = state;
  const names = new Set([...Object.keys(desired), ...Object.keys(reported)]);
  return [...names].sort(compareTexts).map((name) => {
    if (!Object.hasOwn(desired, name)) {
      return { name, desired: undefined, reported: reported[name], standing: "only_reported" };
    }
    const isSame = isEqual(desired[name], reported[name]);
    return { name, desired: desired[name], reported: reported[name], standing: isSame ? "same" : "differs" };
  });
}

function isEqual(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null)
    return one === other;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [a, b] = [one as Record<string, unknown>, other as Record<string, unknown>];
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isEqual(a[name], b[name]))
  );
}

function readObject(
  text: string,
): { kind: "ok"; value: Record<string, unknown> } | { kind: "bad"; message: string } {
  const parsed = tryJson(text);
  if (parsed.kind === "bad") return parsed;
  const { value } = parsed;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return { kind: "ok", value: value as Record<string, unknown> };
  }
  return { kind: "bad", message: "the desired state is an object" };
}
