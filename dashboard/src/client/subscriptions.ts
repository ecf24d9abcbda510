// What is listened to: who gets which update, in order, once, and what was lost on the way.
import type {
  Cursor,
  History,
  RequestId,
  ResetReason,
  SubscribeOptions,
  Update,
} from "../generated/protocol";
import { isConflatable, type Matcher, matcher, overlaps } from "./filter";
import { channelOf, keepTable, type Mark, pickRows, type Table, toUpdates } from "./table";
import { type Span, type Standing, Track, type Verdict } from "./track";

/** What somebody wants to hear. Everything of a channel comes in the order of its `seq`, but what fills a hole. */
export interface Wish {
  /** Filters; each belongs to one wish at a time. */
  readonly channels: readonly string[];
  readonly options?: SubscribeOptions;
  /** After a longer break the values come anew (`reset`, then snapshots), not what was missed; however long, unless told. */
  readonly resumeWithinMs?: number;
  /** An update. One that fills a hole comes late: `replayed`, with a lower `seq` than the one before. */
  updated(update: Update): void;
  /** Updates as they come in columns, good until it returns; without it, each goes to `updated`. */
  tabled?(table: Table): void;
  /** The history that the options ask for, channel by channel. */
  pasted?(history: History): void;
  /** All that was asked for is here: after subscribing, and again after each reconnect. */
  live?(): void;
  /** Continuity is lost for these channels (names or filters): forget their values; fresh ones follow. */
  reset?(channels: readonly string[], reason: ResetReason): void;
  /** These updates of a channel are lost for good. */
  gap?(channel: string, span: Span): void;
  /** The gateway does not allow it. */
  refused?(code: string, message: string): void;
}

/** A wish and where it stands with the gateway. */
export interface Entry {
  readonly wish: Wish;
  readonly matchers: readonly Matcher[];
  /** `asked`: no answer yet; `granted`: the past comes; `live`: it is here. */
  phase: "idle" | "asked" | "granted" | "live" | "refused";
  /** The id of the request that asked for it last. */
  request: RequestId | null;
  /** Where to resume from; null where the values are to come anew. Kept while it is not live. */
  cursor: Cursor | null;
  /** When it was last live, by the local clock; null before. */
  liveAt: number | null;
  /** Whether it was asked for without a cursor. */
  isBeginning: boolean;
  /** Whether anything was handed out since it began. */
  hasHeard: boolean;
  /** The channels that it wants, as far as they were heard of. */
  readonly tracks: Map<string, Track>;
  /** The same by the number of the channel in this connection's columns; null for those it does not want. */
  numbered: (Track | null)[];
  /** What came live while the past was still coming. */
  held: (Update | Table)[];
  heldRows: number;
}

/** What the owner is told. */
export interface SubscriptionsEvents {
  /** Updates of a channel are missing; they may be had again. */
  hole(entry: Entry, channel: string, span: Span): void;
  /** Updates are lost for good. */
  lost(count: number): void;
  /** More came live while the past was coming than is kept: the wish must begin anew. */
  overrun(entry: Entry): void;
  /** A live update went to a wish that is live; `isWhole` where it gets all of the channel. */
  saw(offset: number, isWhole: boolean): void;
}

/** More updates than this are not kept while the past of a wish comes. */
const heldRowsMax = 50_000;

/** All wishes. */
export class Subscriptions {
  readonly #events: SubscriptionsEvents;
  readonly #entries = new Set<Entry>();
  #isLagging = false;

  constructor(events: SubscriptionsEvents) {
    this.#events = events;
  }

  /** Adds a wish. Two wishes for one filter would take each other's options: that is a mistake of the caller. */
  add(wish: Wish): Entry {
    const taken = wish.channels.find((filter) => this.#has(filter));
    if (taken !== undefined) throw new Error(`${taken} is already subscribed`);
    const entry: Entry = {
      wish,
      matchers: wish.channels.map(matcher),
      phase: "idle",
      request: null,
      cursor: wish.options?.since ?? null,
      liveAt: null,
      isBeginning: true,
      hasHeard: false,
      tracks: new Map(),
      numbered: [],
      held: [],
      heldRows: 0,
    };
    this.#entries.add(entry);
    return entry;
  }

  /** Takes a wish back; false where it was gone already. */
  remove(entry: Entry): boolean {
    return this.#entries.delete(entry);
  }

  /** All of them. */
  entries(): Iterable<Entry> {
    return this.#entries;
  }

  /** Whether nobody still waits for values. */
  allSettled(): boolean {
    return [...this.#entries].every(({ phase }) => phase === "live" || phase === "refused");
  }

  /** Starts on a new connection, with what was heard on those before: another epoch comes with a reset. */
  restart(): void {
    this.#isLagging = false;
    for (const entry of this.#entries) {
      entry.phase = "idle";
      entry.numbered = [];
      dropHeld(entry);
    }
  }

  /** Forgets what a wish has heard: its values come anew. */
  begin(entry: Entry, reason: ResetReason): void {
    entry.cursor = null;
    for (const track of entry.tracks.values()) track.forget();
    dropHeld(entry);
    if (entry.hasHeard) entry.wish.reset?.(entry.wish.channels, reason);
    entry.hasHeard = false;
  }

  /** The past that was asked for with `request` has come; what came live meanwhile follows. */
  goLive(request: RequestId): Entry | null {
    for (const entry of this.#entries) {
      if (entry.request !== request || entry.phase !== "granted") continue;
      entry.phase = "live";
      const { held } = entry;
      dropHeld(entry);
      for (const item of held) {
        if ("rows" in item) this.#giveTable(entry, item);
        else this.#give(entry, item);
      }
      this.#askAgain(entry);
      entry.wish.live?.();
      return entry;
    }
    return null;
  }

  /** Hands an update to everyone who wants it. */
  deliver(update: Update): void {
    for (const entry of [...this.#entries]) {
      if (entry.phase === "granted" && markOf(update) === "live") {
        if (trackOf(entry, update.channel) !== null) this.#hold(entry, update, 1);
      } else if (hears(entry)) {
        this.#give(entry, update);
      }
    }
  }

  /** Hands a table to everyone who wants some of it. */
  deliverTable(table: Table): void {
    for (const entry of [...this.#entries]) {
      if (entry.phase === "granted" && table.mark === "live") this.#hold(entry, keepTable(table), table.rows);
      else if (hears(entry)) this.#giveTable(entry, table);
    }
  }

  /** Hands the history of a channel to those who asked for some and wait for it. */
  paste(history: History): void {
    for (const entry of this.#entries) {
      const isWaiting = entry.phase === "granted" && entry.wish.options?.history !== undefined;
      if (!isWaiting || trackOf(entry, history.channel) === null) continue;
      entry.hasHeard = true;
      entry.wish.pasted?.(history);
    }
  }

  /** The gateway lost continuity for some channels or filters, and sends the values anew. */
  reset(channels: readonly string[], reason: ResetReason): void {
    for (const filter of channels) {
      const matches = matcher(filter);
      for (const entry of this.#entries) {
        for (const [name, track] of entry.tracks) {
          if (!matches(name)) continue;
          for (const span of track.missing) this.#lose(entry, name, span);
          track.forget();
        }
      }
    }
    for (const entry of this.#entries) {
      const its = channels.filter((filter) => entry.wish.channels.some((own) => overlaps(own, filter)));
      if (its.length > 0 && entry.phase !== "refused") entry.wish.reset?.(its, reason);
    }
  }

  /** While the gateway merges updates, holes in what may merge are no loss. */
  setLagging(isLagging: boolean): void {
    this.#isLagging = isLagging;
    for (const entry of this.#entries) {
      for (const [name, track] of entry.tracks) if (isConflatable(name)) track.doubt();
    }
  }

  /** Nothing more comes to fill a span: what is still missing of it is lost. Gives whether anything was. */
  giveUp(entry: Entry, channel: string, span: Span): void {
    for (const lost of entry.tracks.get(channel)?.giveUp(span) ?? []) this.#lose(entry, channel, lost);
  }

  #lose(entry: Entry, channel: string, span: Span): void {
    this.#events.lost(span.to - span.from + 1);
    entry.wish.gap?.(channel, span);
  }

  /** Holes that were found while the past came, or whose filling a broken connection cut short. */
  #askAgain(entry: Entry): void {
    for (const [channel, { missing }] of entry.tracks) {
      for (const span of [...missing]) this.#events.hole(entry, channel, span);
    }
  }

  #hold(entry: Entry, item: Update | Table, rows: number): void {
    entry.held.push(item);
    entry.heldRows += rows;
    if (entry.heldRows > heldRowsMax) this.#events.overrun(entry);
  }

  #give(entry: Entry, update: Update): void {
    const track = trackOf(entry, update.channel);
    if (track === null) return;
    const mark = markOf(update);
    const standing = this.#standing(entry, update.channel);
    const verdict = track.judge(update.seq, mark, standing);
    if (verdict === "drop") return;
    if (mark === "live") this.#events.saw(update.offset, standing.isWhole);
    entry.hasHeard = true;
    entry.wish.updated(update);
    if (verdict === "hole") this.#tellHole(entry, update.channel, track);
  }

  #giveTable(entry: Entry, table: Table): void {
    const taken: number[] = [];
    const holes: [string, Track][] = [];
    for (let row = 0; row < table.rows; row += 1) {
      const verdict = this.#judgeRow(entry, table, row, holes);
      if (verdict !== "drop") taken.push(row);
    }
    if (taken.length === 0) return;
    entry.hasHeard = true;
    const part = taken.length === table.rows ? table : pickRows(table, taken);
    if (entry.wish.tabled !== undefined) entry.wish.tabled(part);
    else for (const update of toUpdates(part)) entry.wish.updated(update);
    for (const [channel, track] of holes) this.#tellHole(entry, channel, track);
  }

  #judgeRow(entry: Entry, table: Table, row: number, holes: [string, Track][]): Verdict {
    const track = trackOfRow(entry, table, row);
    if (track === null) return "drop";
    const channel = channelOf(table, row);
    const standing = this.#standing(entry, channel);
    const verdict = track.judge(table.seqs[row] ?? 0, table.mark, standing);
    if (verdict === "drop") return verdict;
    if (table.mark === "live") this.#events.saw(table.offsets[row] ?? 0, standing.isWhole);
    if (verdict === "hole") holes.push([channel, track]);
    return verdict;
  }

  /** While the past still comes, it may fill the hole by itself. */
  #tellHole(entry: Entry, channel: string, track: Track): void {
    const span = track.missing.at(-1);
    if (entry.phase === "live" && span !== undefined) this.#events.hole(entry, channel, span);
  }

  #standing(entry: Entry, channel: string): Standing {
    const mayMerge = isConflatable(channel) && (this.#isLagging || !asksForAll(entry));
    if (entry.phase === "live") return mayMerge ? liveMerged : liveWhole;
    return { isWhole: !mayMerge, isBeginning: entry.isBeginning };
  }

  #has(filter: string): boolean {
    return [...this.#entries].some(({ wish }) => wish.channels.includes(filter));
  }
}

const liveWhole: Standing = { isWhole: true, isBeginning: false };
const liveMerged: Standing = { isWhole: false, isBeginning: false };

/** Whether the wish's options let each update come as it is. */
export function asksForAll({ wish: { options } }: Entry): boolean {
  return options?.mode !== "latest" && options?.throttle === undefined && options?.fields === undefined;
}

/** How long the options let updates of a channel wait to be merged with others, in milliseconds. */
export function mergeIntervalMs({ wish: { options } }: Entry): number {
  return options?.throttle === undefined ? 0 : 1_000 / options.throttle;
}

function hears({ phase }: Entry): boolean {
  return phase === "granted" || phase === "live";
}

function dropHeld(entry: Entry): void {
  entry.held = [];
  entry.heldRows = 0;
}

function markOf(update: Update): Mark {
  if (update.snapshot === true) return "snapshot";
  return update.replayed === true ? "replayed" : "live";
}

/** The track of a channel; null where the wish does not want it. */
function trackOf(entry: Entry, channel: string): Track | null {
  const known = entry.tracks.get(channel);
  if (known !== undefined) return known;
  if (!entry.matchers.some((matches) => matches(channel))) return null;
  const track = new Track();
  entry.tracks.set(channel, track);
  return track;
}

function trackOfRow(entry: Entry, table: Table, row: number): Track | null {
  const number = table.channels[row] ?? 0;
  const known = entry.numbered[number];
  if (known !== undefined) return known;
  const track = trackOf(entry, channelOf(table, row));
  entry.numbered[number] = track;
  return track;
}
