// Publishes a message by hand, over MQTT as any client would.
import { createEffect, createSignal, createUniqueId, Show } from "solid-js";
import { publishByHand } from "../client/mqtt-publish";
import { Check } from "../parts/fields";
import { Moment } from "../parts/moment";
import { useApp } from "../store/app";

/** The form; it begins with the topic that is looked at. */
export function Publish(props: { topic: string }) {
  const app = useApp();
  const id = createUniqueId();
  const [topic, setTopic] = createSignal("");
  const [payload, setPayload] = createSignal("");
  const [qos, setQos] = createSignal<0 | 1>(1);
  const [retain, setRetain] = createSignal(false);
  const [isBusy, setBusy] = createSignal(false);
  const [outcome, setOutcome] = createSignal<{ isGood: boolean; text: string; at: number } | null>(null);
  createEffect(() => setTopic(props.topic));
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy()) return;
    setBusy(true);
    const url = new URL("mqtt", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const message = { topic: topic().trim(), payload: payload(), qos: qos(), retain: retain() };
    const problem = await publishByHand(url, message);
    setBusy(false);
    const took = qos() === 1 ? "The gateway has it" : "Sent";
    setOutcome({
      isGood: problem === null,
      text: problem === null ? took : `Not published: ${problem}`,
      at: app.now(),
    });
  };
  return (
    <section class="card" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>Publish by hand</h2>
      <form class="command-form" data-testid="publish" onSubmit={(event) => void send(event)}>
        <div class="field">
          <label for={`${id}-topic`}>Topic</label>
          <input
            id={`${id}-topic`}
            class="mono"
            required
            pattern="[^+#]+"
            title="A topic has no wildcards"
            data-testid="publish-topic"
            autocomplete="off"
            spellcheck={false}
            value={topic()}
            onInput={({ currentTarget }) => setTopic(currentTarget.value)}
          />
        </div>
        <div class="field">
          <label for={`${id}-payload`}>Payload</label>
          <textarea
            id={`${id}-payload`}
            class="mono"
            rows="4"
            data-testid="publish-payload"
            spellcheck={false}
            value={payload()}
            onInput={({ currentTarget }) => setPayload(currentTarget.value)}
          />
        </div>
        <div class="form-end">
          <button
            type="submit"
            class="primary"
            data-testid="publish-send"
            aria-disabled={isBusy()}
            disabled={!app.canAct() || topic().trim() === ""}
          >
            Publish
          </button>
          <Check
            label="QoS 1"
            testid="publish-acknowledged"
            value={qos() === 1}
            set={(on) => setQos(on ? 1 : 0)}
          />
          <Check label="Retain" testid="publish-retain" value={retain()} set={setRetain} />
        </div>
        <Show when={outcome()}>
          {(known) => (
            <p
              class={known().isGood ? "muted" : "problem"}
              role="status"
              data-testid="publish-outcome"
              data-good={String(known().isGood)}
            >
              {known().text}: <Moment at={known().at} now={app.now()} />.
            </p>
          )}
        </Show>
      </form>
    </section>
  );
}
