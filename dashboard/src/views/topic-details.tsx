// The last payload of a topic, and what has changed in it.
import { createSignal, For, Show } from "solid-js";
import type { TopicMessage } from "../contract";
import { Moment } from "../parts/moment";
import { Segments } from "../parts/segments";
import { useApp } from "../store/app";
import { type DiffLine, diffLines } from "../text/diff";
import { formatBytes, formatRate } from "../text/number";
import type { TopicDetail } from "../worker/messages";

const signs: Record<DiffLine["kind"], string> = { same: " ", added: "+", removed: "−" };

/** The details; held still while somebody reads. */
export function TopicDetails(props: { topic: string | null; detail: TopicDetail | null }) {
  const [kept, setKept] = createSignal<TopicDetail | null>(null);
  const [shown, setShown] = createSignal<"payload" | "diff">("payload");
  /** Another topic is not held. */
  const held = () => (kept()?.topic === props.topic ? kept() : null);
  const detail = () => held() ?? props.detail;
  return (
    <section class="card values" aria-labelledby="topic-title" data-testid="topic-details">
      <div class="card-title">
        <h2 id="topic-title" class="mono">
          {props.topic ?? "No topic is chosen"}
        </h2>
      </div>
      <Show
        when={detail()}
        fallback={
          <p class="muted">
            {props.topic === null
              ? "Choose a topic in the tree to see its last message."
              : "It has no message of its own that this page has seen."}
          </p>
        }
      >
        {(known) => (
          <>
            <Head
              detail={known()}
              isHeld={held() !== null}
              hold={(on) => setKept(on ? props.detail : null)}
            />
            <Segments
              small
              name="payload"
              legend="Show"
              testid="topic-show"
              value={shown()}
              choices={[
                ["payload", "Payload"],
                ["diff", "Changes"],
              ]}
              choose={setShown}
            />
            <Show when={shown() === "diff"} fallback={<Payload message={known().last} />}>
              <Changes detail={known()} />
            </Show>
          </>
        )}
      </Show>
    </section>
  );
}

function Head(props: { detail: TopicDetail; isHeld: boolean; hold: (on: boolean) => void }) {
  const app = useApp();
  const last = () => props.detail.last;
  return (
    <p class="topic-facts muted">
      <Moment at={props.detail.at} now={app.now()} />
      <span class="num">{formatRate(props.detail.messages)} seen</span>
      <span>QoS {last().qos}</span>
      <span>{last().encoding}</span>
      <span class="num">{formatBytes(bytesOf(last()))}</span>
      <Show when={last().retain}>
        <span>retained</span>
      </Show>
      <span class="grow" />
      <button
        type="button"
        data-testid="topic-hold"
        aria-pressed={props.isHeld}
        disabled={!app.isLive() && !props.isHeld}
        onClick={() => props.hold(!props.isHeld)}
      >
        {props.isHeld ? "Go on" : "Hold still"}
      </button>
    </p>
  );
}

function Payload(props: { message: TopicMessage }) {
  return (
    <pre class="result mono payload" data-testid="topic-payload" tabindex="0">
      {prettyOf(props.message)}
    </pre>
  );
}

function Changes(props: { detail: TopicDetail }) {
  const lines = () => {
    const { before, last } = props.detail;
    return before === null ? [] : diffLines(prettyOf(before), prettyOf(last));
  };
  return (
    <Show
      when={props.detail.before !== null}
      fallback={<p class="muted">There was only one message so far.</p>}
    >
      <Show when={props.detail.skipped > 0}>
        <p class="muted num" data-testid="topic-skipped">
          {formatRate(props.detail.skipped)} in between came too fast to be shown.
        </p>
      </Show>
      <Show when={lines()} fallback={<p class="muted">It is too long to be compared.</p>}>
        {(known) => (
          <pre class="result mono payload diff" data-testid="topic-diff" tabindex="0">
            <For each={known()}>
              {(line) => (
                <span data-kind={line.kind}>
                  {signs[line.kind]} {line.text}
                  {"\n"}
                </span>
              )}
            </For>
          </pre>
        )}
      </Show>
    </Show>
  );
}

function prettyOf(message: TopicMessage): string {
  return message.encoding === "json" ? JSON.stringify(message.payload, null, 2) : String(message.payload);
}

/** How long it is: of JSON as it is written without blanks, of what is no text as it was before it was written. */
function bytesOf({ encoding, payload }: TopicMessage): number {
  if (encoding === "base64") return atob(String(payload)).length;
  return new TextEncoder().encode(encoding === "json" ? JSON.stringify(payload) : String(payload)).length;
}
