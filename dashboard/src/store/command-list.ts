// Commands by a filter: page by page from the gateway, and what comes live.
import { type Accessor, createEffect, createSignal, on, onCleanup } from "solid-js";
import type { Command } from "../generated/protocol";
import { stateTexts } from "../text/command";
import type { App } from "./app";
import { Commands, wholeSince } from "./commands";
import { beginningOf, type Cursors, readPages } from "./pages";

/** Commands of a state that are read at a time, and kept at first. */
const pageSize = 100;

/** Which commands to show; empty for any. */
export interface CommandFilter {
  readonly device: string;
  /** A state, or `open`: any that is not final. */
  readonly state: string;
  readonly name: string;
  readonly batch: string;
}

/** All of them. */
export const noCommandFilter: CommandFilter = { device: "", state: "", name: "", batch: "" };

/** The list, and how more of it is had. */
export interface CommandList {
  readonly commands: Accessor<Commands>;
  readonly isRead: Accessor<boolean>;
  readonly problem: Accessor<string | null>;
  readonly hasMore: Accessor<boolean>;
  readonly more: () => void;
}

/** Follows a filter. */
export function createCommandList(app: App, filter: Accessor<CommandFilter>): CommandList {
  const [commands, setCommands] = createSignal(new Commands());
  const [next, setNext] = createSignal<Cursors>(new Map());
  const [isRead, setRead] = createSignal(false);
  const [problem, setProblem] = createSignal<string | null>(null);
  let asked = 0;

  const load = async (from: Cursors) => {
    asked += 1;
    const mine = asked;
    const wanted = filter();
    const list = commands();
    const mark = list.startLoad();
    let since = Number.NEGATIVE_INFINITY;
    const read = await readPages(from, async (state, cursor) => {
      const page = await app.api.commandPage({ ...wanted, state }, cursor, pageSize);
      // Only beginnings are compared with what is known: what stands on earlier pages is not on this one.
      const isFirst = page.kind === "ok" && cursor === null;
      since = Math.max(since, isFirst ? wholeSince(page.value) : Number.POSITIVE_INFINITY);
      return page;
    });
    if (mine !== asked) return;
    setProblem(read.kind === "ok" ? null : read.message);
    if (read.kind !== "ok") return;
    list.keep(read.value.items.length);
    list.fill(mark, read.value.items, since);
    setNext(read.value.next);
    setRead(true);
  };
  const begin = () => void load(beginningOf(statesOf(filter())));
  createEffect(
    on(filter, (wanted) => {
      setCommands(new Commands((command) => passes(command, wanted), pageSize));
      setNext(new Map());
      setRead(false);
    }),
  );
  createEffect(
    on([filter, app.isLive], ([, isLive]) => {
      if (isLive) begin();
    }),
  );
  const unlisten = app.listen(
    ["commands/#"],
    (events) => {
      for (const event of events) {
        if (event.kind === "void") begin();
        if (event.kind !== "update") continue;
        commands().hear(event.update.data as Command, event.update.timestamp);
      }
    },
    { snapshot: false },
  );
  onCleanup(unlisten);
  return {
    commands,
    isRead,
    problem,
    hasMore: () => next().size > 0,
    more: () => void load(next()),
  };
}

const openStates = Object.entries(stateTexts).flatMap(([state, { isFinal }]) => (isFinal ? [] : state));

/** The states that are asked for, one by one; the empty one is any. */
function statesOf({ state }: CommandFilter): readonly string[] {
  return state === "open" ? openStates : [state];
}

/** Whether a command is one of those. */
export function passes(command: Command, { device, state, name, batch }: CommandFilter): boolean {
  if (state === "open" ? stateTexts[command.state].isFinal : state !== "" && command.state !== state)
    return false;
  if (device !== "" && command.device !== device) return false;
  return (name === "" || command.name === name) && (batch === "" || command.batch === batch);
}
