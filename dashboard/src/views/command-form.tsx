// Tells a device to do something.
import { createSignal, createUniqueId, For, Show } from "solid-js";
import type { Command } from "../generated/protocol";
import { useApp } from "../store/app";
import type { DeviceRecord } from "../store/device";
import { describeAnswer } from "../text/command";
import { emptyParams, fromParams, type ParamsText, readParams } from "../text/params";
import { ParamsEditor } from "./params-editor";
import { type Suggestion, suggestionsFor } from "./suggestions";

/** The form; `created` is told of each command that the gateway took. */
export function CommandForm(props: { device: DeviceRecord; created: (command: Command) => void }) {
  const app = useApp();
  const id = createUniqueId();
  const [name, setName] = createSignal("");
  const [params, setParams] = createSignal<ParamsText>(emptyParams);
  const [timeoutS, setTimeoutS] = createSignal(30);
  const [ttlS, setTtlS] = createSignal(60);
  const [isSending, setSending] = createSignal(false);
  const [problem, setProblem] = createSignal<string | null>(null);
  const suggestions = () => suggestionsFor(props.device.read().type);
  const read = () => readParams(params());

  const take = (suggestion: Suggestion) => {
    setName(suggestion.name);
    setProblem(null);
    setParams(fromParams(params().kind, suggestion.params));
  };
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    const understood = read();
    if (understood.kind === "bad" || isSending()) return;
    setSending(true);
    const answer = await app.client.command(props.device.id, {
      name: name().trim(),
      params: understood.params,
      timeout_ms: Math.round(timeoutS() * 1_000),
      ttl_ms: Math.round(ttlS() * 1_000),
    });
    setSending(false);
    setProblem(describeAnswer(answer));
    if (answer.kind === "ok") props.created(answer.reply);
  };
  return (
    <section class="card" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>Send a command</h2>
      <form class="command-form" data-testid="command-form" onSubmit={(event) => void send(event)}>
        <div class="field">
          <label for={`${id}-name`}>Name</label>
          <input
            id={`${id}-name`}
            data-testid="command-name"
            class="mono"
            required
            pattern=".*\S.*"
            autocomplete="off"
            spellcheck={false}
            list={`${id}-names`}
            value={name()}
            onInput={({ currentTarget }) => setName(currentTarget.value)}
          />
          <datalist id={`${id}-names`}>
            <For each={suggestions()}>{(suggestion) => <option value={suggestion.name} />}</For>
          </datalist>
        </div>
        <fieldset class="suggestions">
          <legend class="sr-only">Suggestions</legend>
          <For each={suggestions()}>
            {(suggestion) => (
              <button
                type="button"
                class="chip mono"
                data-testid={`suggest-${suggestion.name}`}
                onClick={() => take(suggestion)}
              >
                {suggestion.name}
              </button>
            )}
          </For>
        </fieldset>
        <ParamsEditor text={params()} understood={read()} change={setParams} />
        <div class="field-row">
          <SecondsField
            id={`${id}-timeout`}
            label="Time to finish"
            testid="command-timeout"
            min={1}
            value={timeoutS()}
            set={setTimeoutS}
          />
          <SecondsField
            id={`${id}-ttl`}
            label="May wait to be sent"
            testid="command-ttl"
            min={0}
            value={ttlS()}
            set={setTtlS}
          />
          <button
            type="submit"
            class="primary"
            data-testid="command-send"
            disabled={!app.isLive() || isSending() || read().kind === "bad"}
          >
            {isSending() ? "Sending …" : "Send"}
          </button>
        </div>
        <Show when={!app.isLive()}>
          <p class="muted">Commands can be sent while the connection is live.</p>
        </Show>
        <Show when={app.isLive() && props.device.read().presence.status === "offline"}>
          <p class="muted">The device is offline: the command waits for it, as long as said above.</p>
        </Show>
        <Show when={problem()}>
          {(text) => (
            <p class="problem" role="alert" data-testid="command-problem">
              {text()}
            </p>
          )}
        </Show>
      </form>
    </section>
  );
}

function SecondsField(props: {
  id: string;
  label: string;
  testid: string;
  min: number;
  value: number;
  set: (seconds: number) => void;
}) {
  return (
    <div class="field">
      <label for={props.id}>{props.label}</label>
      <span class="with-unit">
        <input
          id={props.id}
          data-testid={props.testid}
          type="number"
          required
          min={props.min}
          max={86_400}
          step="any"
          value={props.value}
          onInput={({ currentTarget }) => {
            if (currentTarget.validity.valid) props.set(currentTarget.valueAsNumber);
          }}
        />
        s
      </span>
    </div>
  );
}
