// Commands, those of one device or by a filter, with the story of each as far as it was seen.
import { createSignal } from "solid-js";
import type { Command, CommandDetails, CommandId, CommandState, Page } from "../generated/protocol";
import { stateTexts } from "../text/command";
import { Watched } from "./watched";

/** Commands kept, unless told; the oldest go first. */
const keptAtFirst = 100;

/** A step in a command's life. */
export interface Stage {
  readonly state: CommandState;
  readonly at: number;
  /** Why, where it was told. */
  readonly reason: string | null;
}

/** A command. Its fields change in place; read them through `read`, which makes the reader follow them. */
export class CommandRecord extends Watched {
  command: Command;
  stages: Stage[];
  /** Whether `stages` begins with the first and leaves none out, as far as we know. */
  isWhole: boolean;
  /** When the last step happened of the story that was read; before one was, nothing had. */
  toldUntil = Number.NEGATIVE_INFINITY;
  /** How much had been told, live or by an answer, when this one was; 0 for never. */
  heardAt = 0;
  /** Whether this page sent it or heard of it live, rather than read of it afterwards. */
  isWitnessed = false;

  constructor(command: Command) {
    super();
    this.command = command;
    const first: Stage = {
      state: command.not_before === null ? "queued" : "scheduled",
      at: command.created_at,
      reason: null,
    };
    this.stages = [first];
    this.isWhole = command.state === first.state;
  }
}

/** Commands, newest first. */
export class Commands {
  readonly #records = new Map<CommandId, CommandRecord>();
  /** Counts what was told: live updates, and answers to requests. */
  #heard = 0;
  readonly #readAll: () => readonly CommandRecord[];
  readonly #tellAll: () => void;
  readonly #passes: (command: Command) => boolean;
  #keptMax: number;

  /** Keeps `keptMax` of those that pass. */
  constructor(passes: (command: Command) => boolean = () => true, keptMax = keptAtFirst) {
    const [all, setAll] = createSignal<readonly CommandRecord[]>([]);
    this.#readAll = all;
    this.#passes = passes;
    this.#keptMax = keptMax;
    this.#tellAll = () => {
      const passing = [...this.#records.values()].filter(({ command }) => passes(command));
      setAll(passing.sort(newestFirst));
    };
  }

  /** All of them, newest first; readers hear when one joins. */
  all(): readonly CommandRecord[] {
    return this.#readAll();
  }

  /** Takes a command that came live, with the time of its update. */
  hear(command: Command, at: number): void {
    this.#heard += 1;
    const known = this.#records.get(command.id);
    if (known === undefined && !this.#passes(command)) return;
    const record = known ?? this.#join(command);
    if (isOld(record, command, at)) return;
    const hasLeft = this.#passes(record.command) !== this.#passes(command);
    const last = record.stages.at(-1);
    if (last?.state !== command.state) {
      record.stages = [...record.stages, { state: command.state, at, reason: null }];
    }
    record.command = command;
    record.heardAt = this.#heard;
    record.isWitnessed = true;
    record.tell();
    if (hasLeft) this.#tellAll();
  }

  /** Makes room for so many more that are not dropped for newer ones. */
  keep(more: number): void {
    this.#keptMax = Math.max(this.#keptMax, this.#records.size + more);
  }

  /** Notes that the list is being loaded, and gives the mark for `fill`. */
  startLoad(): number {
    return this.#heard;
  }

  /**
   * Takes commands that were read; what was told since the reading began is newer and stays. Of those created after
   * `wholeSince` the reading has all: others are no more.
   */
  fill(load: number, commands: readonly Command[], wholeSince = Number.POSITIVE_INFINITY): void {
    this.#dropOthers(load, commands, wholeSince);
    for (const command of commands) {
      const known = this.#records.get(command.id);
      if (known === undefined) this.#join(command);
      else if (known.heardAt <= load && known.command.state !== command.state) this.#skip(known, command);
    }
  }

  /** Takes the command that a request was answered with. */
  add(command: Command): void {
    this.#heard += 1;
    const record = this.#records.get(command.id) ?? this.#join(command);
    record.heardAt = this.#heard;
    record.isWitnessed = true;
  }

  /** Takes the whole story, unless more of it has come live meanwhile. */
  tellStory(details: CommandDetails): void {
    const record = this.#records.get(details.id);
    if (record === undefined || record.command.state !== details.state) return;
    record.stages = stagesOf(details);
    record.toldUntil = details.transitions.at(-1)?.at ?? record.toldUntil;
    record.isWhole = true;
    record.tell();
  }

  #dropOthers(load: number, commands: readonly Command[], wholeSince: number): void {
    const read = new Set(commands.map(({ id }) => id));
    const others = [...this.#records.values()].filter(
      ({ command, heardAt }) =>
        this.#passes(command) && command.created_at > wholeSince && heardAt <= load && !read.has(command.id),
    );
    for (const { command } of others) this.#records.delete(command.id);
    if (others.length > 0) this.#tellAll();
  }

  /** The command went on while we did not listen. */
  #skip(record: CommandRecord, command: Command): void {
    record.command = command;
    record.isWhole = false;
    record.tell();
  }

  #join(command: Command): CommandRecord {
    const record = new CommandRecord(command);
    this.#records.set(command.id, record);
    if (this.#records.size > this.#keptMax) this.#dropOldest();
    this.#tellAll();
    return record;
  }

  /** One that does not pass any more goes first. */
  #dropOldest(): void {
    const all = [...this.#records.values()].sort(newestFirst);
    const oldest = all.findLast(({ command }) => !this.#passes(command)) ?? all.at(-1);
    if (oldest !== undefined) this.#records.delete(oldest.command.id);
  }
}

/** Since when the first page of a list has all of its commands: those as old as its last may go on on the next. */
export function wholeSince({ items, next }: Page<Command>): number {
  if (next === null) return Number.NEGATIVE_INFINITY;
  return items.at(-1)?.created_at ?? Number.POSITIVE_INFINITY;
}

/** Whether an update is in the story already, which may have been read before it came. */
function isOld({ command, stages, toldUntil }: CommandRecord, { state }: Command, at: number): boolean {
  // A clock that was set back must not hide the end.
  if (stateTexts[state].isFinal && !stateTexts[command.state].isFinal) return false;
  const isLast = state === command.state;
  return at < toldUntil || (!isLast && stages.some((stage) => stage.state === state && stage.at === at));
}

/** The steps that changed the state; notes are left out. */
function stagesOf({ transitions }: CommandDetails): Stage[] {
  return transitions.filter(({ state }, index) => state !== transitions[index - 1]?.state);
}

function newestFirst(a: CommandRecord, b: CommandRecord): number {
  return b.command.created_at - a.command.created_at || (b.command.id < a.command.id ? -1 : 1);
}
