// A command as it is being written.
import { type Accessor, createSignal } from "solid-js";
import type { CommandRequest } from "../generated/protocol";
import { emptyParams, type Params, type ParamsText, readParams, tryJson } from "../text/params";

/** What is expected of the device after success. */
export interface Expectation {
  readonly subject: "metric" | "state";
  readonly name: string;
  readonly op: string;
  readonly value: string;
  readonly withinS: number;
}

/** What few commands need. */
export interface Extras {
  readonly timeoutS: number;
  readonly ttlS: number;
  /** As a field for local times gives it; empty: at once. */
  readonly notBefore: string;
  readonly priority: number;
  readonly supersede: string;
  readonly isIdempotent: boolean;
  readonly progressExtends: boolean;
  readonly expectation: Expectation | null;
}

/** An expectation nobody has filled in. */
export const emptyExpectation: Expectation = {
  ...{ subject: "metric", name: "", op: "==", value: "", withinS: 30 },
};

const firstExtras: Extras = {
  ...{ timeoutS: 30, ttlS: 60, notBefore: "", priority: 0, supersede: "" },
  ...{ isIdempotent: false, progressExtends: false, expectation: null },
};

/** The command, and its request where it can be understood. */
export interface Draft {
  readonly name: Accessor<string>;
  readonly setName: (name: string) => void;
  readonly params: Accessor<ParamsText>;
  readonly setParams: (params: ParamsText) => void;
  readonly understood: Accessor<Params>;
  readonly extras: Accessor<Extras>;
  readonly setExtras: (change: Partial<Extras>) => void;
  /** Null where it cannot be sent as it is. */
  readonly request: () => CommandRequest | null;
}

/** Begins one. */
export function createDraft(): Draft {
  const [name, setName] = createSignal("");
  const [params, setParams] = createSignal<ParamsText>(emptyParams);
  const [extras, setExtras] = createSignal(firstExtras);
  const understood = () => readParams(params());
  return {
    name,
    setName,
    params,
    setParams,
    understood,
    extras,
    setExtras: (change) => setExtras((before) => ({ ...before, ...change })),
    request: () => {
      const read = understood();
      if (read.kind === "bad" || name().trim() === "") return null;
      return { name: name().trim(), params: read.params, ...requestOf(extras()) };
    },
  };
}

/** What was left as it is needs no mention. */
function requestOf(extras: Extras): Omit<CommandRequest, "name"> {
  const request: Omit<CommandRequest, "name"> = {
    timeout_ms: Math.round(extras.timeoutS * 1_000),
    ttl_ms: Math.round(extras.ttlS * 1_000),
  };
  const notBefore = extras.notBefore === "" ? Number.NaN : new Date(extras.notBefore).getTime();
  if (Number.isFinite(notBefore)) request.not_before = notBefore;
  if (extras.priority !== 0) request.priority = extras.priority;
  if (extras.supersede !== "") request.supersede = extras.supersede;
  if (extras.isIdempotent) request.idempotent = true;
  if (extras.progressExtends) request.progress_extends = true;
  if (extras.expectation !== null) Object.assign(request, { expect: expectOf(extras.expectation) });
  return request;
}

function expectOf({ subject, name, op, value, withinS }: Expectation): Record<string, unknown> {
  const parsed = tryJson(value);
  return {
    [subject]: name,
    op,
    value: parsed.kind === "ok" ? parsed.value : value,
    within_ms: Math.round(withinS * 1_000),
  };
}
