// The live tree of MQTT topics: what was published where, how often, and the last payloads.
import type { Subscription } from "../client/client";
import type { Wish } from "../client/subscriptions";
import type { TopicMessage } from "../contract";
import type { Update } from "../generated/protocol";
import type { TopicRow, TopicsState, TopicsView } from "./messages";
import { compareTexts } from "./select";

/** Topics a page can hold; further ones are counted. */
const topicsMax = 20_000;
/** Payloads of a topic a second: more than the eye can follow would only cost. Their number tells how many came. */
const perTopic = 4;
/** Rates are averages over about so long: what comes once a second would flicker between none and two. */
const averageS = 4;
/** How often rates are taken and the tree is told. */
const everyMs = 1_000;
/** Letters of a payload in the tree. */
const previewMax = 120;

/** What the tree needs from its surroundings. */
export interface TopicsOptions {
  readonly listen: (wish: Wish) => Subscription;
  readonly changed: () => void;
}

interface Node {
  readonly topic: string;
  readonly name: string;
  readonly depth: number;
  readonly children: Map<string, Node>;
  messages: number;
  /** Messages when the rate was last taken. */
  counted: number;
  perSecond: number;
  seq: number;
  at: number;
  last: TopicMessage | null;
  before: TopicMessage | null;
  /** Messages between those two that were merged on the way. */
  skipped: number;
}

/** The tree; it listens as long as it is looked at. */
export class Topics {
  readonly #options: TopicsOptions;
  #root = node("", "", -1);
  #view: TopicsView | null = null;
  #subscription: Subscription | null = null;
  #isListening = false;
  #count = 0;
  #beyond = 0;
  #countedAt = Date.now();
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Whether it has changed since it was told. */
  isStale = false;

  constructor(options: TopicsOptions) {
    this.#options = options;
  }

  /** Shows another part; null: none, and what was heard is forgotten. */
  look(view: TopicsView | null): void {
    if (view?.filter !== this.#view?.filter) this.#restart(view);
    this.#view = view;
    this.#touch();
  }

  /** What the page is told; null where nobody looks. */
  take(): TopicsState | null {
    this.isStale = false;
    const view = this.#view;
    if (view === null) return null;
    const rows: Node[] = [];
    const open = new Set(view.open);
    const text = view.text.toLowerCase();
    for (const child of inOrder(this.#root)) flatten(child, open, text, rows);
    return {
      isListening: this.#isListening,
      rows: rows.slice(view.from, view.to).map((shown) => rowOf(shown, open, text)),
      from: view.from,
      shown: rows.length,
      topics: this.#count,
      beyond: this.#beyond,
      perSecond: this.#root.perSecond,
      chosen: detailOf(view.chosen === null ? null : this.#find(view.chosen)),
    };
  }

  #restart(view: TopicsView | null): void {
    this.#subscription?.close();
    this.#subscription = null;
    this.#isListening = false;
    clearInterval(this.#timer);
    this.#forget();
    if (view === null) return;
    this.#timer = setInterval(() => this.#takeRates(), everyMs);
    this.#countedAt = Date.now();
    this.#subscription = this.#options.listen({
      channels: [`topics/${view.filter}`],
      options: { mode: "latest", throttle: perTopic },
      // It has no past.
      resumeWithinMs: 0,
      updated: (update) => this.#hear(update),
      live: () => this.#begin(),
      reset: () => this.#forget(),
    });
  }

  #begin(): void {
    this.#isListening = true;
    this.#touch();
  }

  #forget(): void {
    this.#root = node("", "", -1);
    this.#count = 0;
    this.#beyond = 0;
    this.#touch();
  }

  #hear({ channel, seq, timestamp, data, snapshot }: Update): void {
    const found = this.#reach(channel.slice("topics/".length));
    const leaf = found?.at(-1);
    if (found === null || leaf === undefined || !isMessage(data)) return;
    // What was merged is not here, but it was counted.
    const came = leaf.seq === 0 || seq <= leaf.seq ? 1 : seq - leaf.seq;
    leaf.seq = seq;
    leaf.at = timestamp;
    leaf.skipped = came - 1;
    leaf.before = leaf.last;
    leaf.last = data;
    if (snapshot === true) return;
    for (const level of [this.#root, ...found]) level.messages += came;
  }

  /** The levels down to a topic, made where they are missing; null where the page is full. */
  #reach(topic: string): Node[] | null {
    const path: Node[] = [];
    let level = this.#root;
    for (const [depth, name] of topic.split("/").entries()) {
      let child = level.children.get(name);
      if (child === undefined) {
        if (this.#count >= topicsMax) {
          this.#beyond += 1;
          return null;
        }
        child = node(depth === 0 ? name : `${level.topic}/${name}`, name, depth);
        level.children.set(name, child);
        this.#count += 1;
      }
      path.push(child);
      level = child;
    }
    return path;
  }

  #find(topic: string): Node | null {
    let level: Node | undefined = this.#root;
    for (const name of topic.split("/")) level = level?.children.get(name);
    return level ?? null;
  }

  #takeRates(): void {
    const seconds = Math.max(0.1, (Date.now() - this.#countedAt) / 1_000);
    const weight = 1 - Math.exp(-seconds / averageS);
    this.#countedAt = Date.now();
    const take = (level: Node) => {
      const rate = (level.messages - level.counted) / seconds;
      const isNew = level.counted === 0;
      level.perSecond += isNew ? rate : (rate - level.perSecond) * weight;
      level.counted = level.messages;
      for (const child of level.children.values()) take(child);
    };
    take(this.#root);
    this.#touch();
  }

  #touch(): void {
    this.isStale = true;
    this.#options.changed();
  }
}

function node(topic: string, name: string, depth: number): Node {
  return {
    ...{ topic, name, depth, children: new Map(), messages: 0, counted: 0 },
    ...{ perSecond: 0, seq: 0, at: 0, last: null, before: null, skipped: 0 },
  };
}

function inOrder({ children }: Node): Node[] {
  return [...children.values()].sort((a, b) => compareTexts(a.name, b.name));
}

/** With a text, only what contains it, opened; without one, what is open. */
function flatten(level: Node, open: ReadonlySet<string>, text: string, rows: Node[]): boolean {
  if (text === "") {
    rows.push(level);
    if (open.has(level.topic)) for (const child of inOrder(level)) flatten(child, open, text, rows);
    return true;
  }
  const at = rows.length;
  rows.push(level);
  let isShown = level.topic.toLowerCase().includes(text);
  for (const child of inOrder(level)) isShown = flatten(child, open, text, rows) || isShown;
  if (!isShown) rows.length = at;
  return isShown;
}

function rowOf(level: Node, open: ReadonlySet<string>, text: string): TopicRow {
  const { topic, name, depth, children, messages, perSecond, last } = level;
  return {
    ...{ topic, name, depth, children: children.size, messages, perSecond },
    isOpen: text !== "" || open.has(topic),
    preview: last === null ? null : previewOf(last),
    isRetained: last?.retain === true,
  };
}

function detailOf(found: Node | null): TopicsState["chosen"] {
  if (found === null || found.last === null) return null;
  const { topic, messages, at, last, before, skipped } = found;
  return { topic, messages, at, last, before, skipped };
}

function previewOf({ payload, encoding }: TopicMessage): string {
  const text = encoding === "json" ? JSON.stringify(payload) : String(payload);
  return text.length > previewMax ? `${text.slice(0, previewMax)}…` : text;
}

function isMessage(value: unknown): value is TopicMessage {
  return typeof value === "object" && value !== null && "payload" in value && "encoding" in value;
}
