// The live tree of MQTT topics.
import {
  createEffect,
  createMemo,
  createResource,
  createSignal,
  For,
  onCleanup,
  onMount,
  Show,
} from "solid-js";
import { windowOnto } from "../parts/virtual";
import { walk } from "../parts/walk";
import { useApp } from "../store/app";
import { formatRate } from "../text/number";
import type { TopicRow, TopicsState } from "../worker/messages";
import { Publish } from "./publish";
import { TopicDetails } from "./topic-details";

/** Height of a row in pixels, as in topics.css. */
const rowHeight = 28;

/** The tree, the topic that was chosen, and publishing by hand. */
export default function TopicsPage() {
  const app = useApp();
  const { query, setQuery } = app.place;
  const [open, setOpen] = createSignal<readonly string[]>(["devices"]);
  const [scrollTop, setScrollTop] = createSignal(0);
  const [viewHeight, setViewHeight] = createSignal(0);
  const filter = () => query().filter ?? "#";
  const state = () => app.topics();
  const window = createMemo(
    () => windowOnto(scrollTop(), viewHeight(), rowHeight, Math.max(64, state()?.shown ?? 0)),
    undefined,
    { equals: (one, other) => one.start === other.start && one.end === other.end },
  );
  createEffect(() => {
    const view = {
      ...{ filter: filter(), text: query().q ?? "", open: open() },
      ...{ from: window().start, to: window().end, chosen: query().topic ?? null },
    };
    app.client.tell({ kind: "lookTopics", view });
  });
  onCleanup(() => app.client.tell({ kind: "lookTopics", view: null }));
  // A gateway without MQTT over WebSocket has no way to publish from a page.
  const [takesMqtt] = createResource(app.isLive, () => app.api.describes("/mqtt"), { initialValue: false });
  let place!: HTMLElement;
  onMount(() => {
    const observer = new ResizeObserver(() => setViewHeight(place.clientHeight));
    observer.observe(place);
    onCleanup(() => observer.disconnect());
  });
  const toggle = (topic: string) =>
    setOpen((before) =>
      before.includes(topic) ? before.filter((other) => other !== topic) : [...before, topic],
    );
  return (
    <div class="page topics" data-testid="topics-page">
      <h1 class="sr-only">Topics</h1>
      <search class="toolbar">
        <label class="grow">
          <span class="sr-only">Topics that contain</span>
          <input
            type="search"
            placeholder="Topics that contain …"
            data-testid="topics-text"
            autocomplete="off"
            spellcheck={false}
            value={query().q ?? ""}
            onInput={({ currentTarget }) => setQuery({ q: currentTarget.value })}
          />
        </label>
        <label class="labelled">
          <span class="muted">Listen to</span>
          <input
            type="text"
            class="mono"
            data-testid="topics-filter"
            autocomplete="off"
            spellcheck={false}
            value={filter()}
            onChange={({ currentTarget }) => {
              const text = currentTarget.value.trim();
              setQuery({ filter: text === "#" ? "" : text });
            }}
          />
        </label>
        <output class="muted num" data-testid="topics-count">
          {formatRate(state()?.topics ?? 0)} levels · {formatRate(state()?.perSecond ?? 0)} messages/s
          <Show when={(state()?.beyond ?? 0) > 0}> · more than this page holds</Show>
        </output>
      </search>
      <div class="topics-parts">
        <section
          class="scroller tree"
          aria-label="Topics"
          tabindex="0"
          ref={place}
          onScroll={() => setScrollTop(place.scrollTop)}
        >
          <div style={{ height: `${(state()?.shown ?? 0) * rowHeight}px` }}>
            <ul
              class="values"
              data-testid="topics"
              onKeyDown={(event) => walk(event, { ArrowDown: 1, ArrowUp: -1 })}
              style={{ "padding-top": `${(state()?.from ?? 0) * rowHeight}px` }}
            >
              <For each={state()?.rows.map(({ topic }) => topic) ?? []}>
                {(topic) => (
                  <TreeRow
                    topic={topic}
                    row={state()?.rows.find((row) => row.topic === topic)}
                    isChosen={query().topic === topic}
                    toggle={() => toggle(topic)}
                    choose={() => setQuery({ topic })}
                  />
                )}
              </For>
            </ul>
          </div>
          <Show when={(state()?.shown ?? 0) === 0}>
            <p class="empty">{emptyText(app.isLive(), state())}</p>
          </Show>
        </section>
        <div class="topics-side">
          <TopicDetails topic={query().topic ?? null} detail={state()?.chosen ?? null} />
          {/* MQTT would show more than a narrowed token may see: the gateway refuses it. */}
          <Show when={takesMqtt.latest && !app.isViewer() && !app.isNarrowed()}>
            <Publish topic={query().topic ?? ""} />
          </Show>
        </div>
      </div>
    </div>
  );
}

function emptyText(isLive: boolean, state: TopicsState | null): string {
  if (!isLive) return "Waiting …";
  if (state?.isListening !== true) return "Not listening.";
  const isNone = state.topics === 0;
  return isNone ? "Nothing has been published since this page began to listen." : "No topic contains that.";
}

function TreeRow(props: {
  topic: string;
  row: TopicRow | undefined;
  isChosen: boolean;
  toggle: () => void;
  choose: () => void;
}) {
  const row = () => props.row;
  const turned = ({ key }: KeyboardEvent) => {
    const isOpen = row()?.isOpen === true;
    if ((key === "ArrowRight" && !isOpen) || (key === "ArrowLeft" && isOpen)) props.toggle();
  };
  return (
    <li
      data-testid="topic-row"
      data-topic={props.topic}
      data-chosen={String(props.isChosen)}
      onKeyDown={turned}
      style={{ "padding-inline-start": `${(row()?.depth ?? 0) * 16 + 4}px` }}
    >
      <Show when={(row()?.children ?? 0) > 0} fallback={<span class="tree-gap" />}>
        <button
          type="button"
          class="tree-toggle"
          aria-expanded={row()?.isOpen === true}
          aria-label={`Levels below ${props.topic}`}
          onClick={() => props.toggle()}
        >
          {row()?.isOpen === true ? "▾" : "▸"}
        </button>
      </Show>
      <button type="button" class="tree-name" aria-pressed={props.isChosen} onClick={() => props.choose()}>
        <span>{row()?.name === "" ? "(empty)" : row()?.name}</span>
        <Show when={row()?.isRetained}>
          <span class="chip quiet-chip" title="A retained message">
            R
          </span>
        </Show>
        <span class="mono muted tree-preview">{row()?.preview ?? ""}</span>
        <span class="num muted tree-rate">
          {(row()?.perSecond ?? 0) > 0.05 ? `${formatRate(row()?.perSecond ?? 0)}/s` : ""}
        </span>
        <span class="num tree-count">{formatRate(row()?.messages ?? 0)}</span>
      </button>
    </li>
  );
}
