// Commands by a filter: page by page from the gateway, and what comes live.
import { type Accessor, createEffect, createSignal, on, onCleanup } from "solid-js";
import type { Command } from "../generated/protocol";
import { stateTexts } from "../text/command";
import type { App } from "./app";
import { Commands } from "./commands";

/** Commands that are read at a time, and kept at first. */
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
  const [cursor, setCursor] = createSignal<string | null>(null);
  const [isRead, setRead] = createSignal(false);
  const [problem, setProblem] = createSignal<string | null>(null);
  let asked = 0;

  const load = async (from: string | null) => {
    asked += 1;
    const mine = asked;
    const { state, ...rest } = filter();
    const list = commands();
    const mark = list.startLoad();
    if (from !== null) list.extend(pageSize);
    const wanted = { ...rest, state: state === "open" ? "" : state };
    const read = await app.api.commandPage(wanted, from, pageSize);
    if (mine !== asked) return;
    setProblem(read.kind === "ok" ? null : read.message);
    if (read.kind !== "ok") return;
    list.fill(mark, read.value.items);
    setCursor(read.value.next);
    setRead(true);
  };
  createEffect(
    on(filter, (wanted) => {
      setCommands(new Commands((command) => passes(command, wanted), pageSize));
      setCursor(null);
      setRead(false);
    }),
  );
  createEffect(
    on([filter, app.isLive], ([, isLive]) => {
      if (isLive) void load(null);
    }),
  );
  const unlisten = app.listen(
    ["commands/#"],
    (events) => {
      for (const event of events) {
        if (event.kind === "void") void load(null);
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
    hasMore: () => cursor() !== null,
    more: () => void load(cursor()),
  };
}

/** Whether a command is one of those. */
export function passes(command: Command, { device, state, name, batch }: CommandFilter): boolean {
  if (state === "open" ? stateTexts[command.state].isFinal : state !== "" && command.state !== state)
    return false;
  if (device !== "" && command.device !== device) return false;
  return (name === "" || command.name === name) && (batch === "" || command.batch === batch);
}
