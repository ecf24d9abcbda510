// Whom the console commands, and how fast where they are many.
import { createEffect, createSignal, createUniqueId, For, Match, Show, Switch } from "solid-js";
import { ChoiceField, NumberField } from "../parts/fields";
import { Segments } from "../parts/segments";
import { useApp } from "../store/app";
import type { Target } from "../store/target";

/** Devices that are offered while an id is typed. */
const offeredMax = 12;

/** The fields. */
export function ConsoleTarget(props: { target: Target; change: (part: Partial<Target>) => void }) {
  const app = useApp();
  const id = createUniqueId();
  const [offered, setOffered] = createSignal<readonly string[]>([]);
  createEffect(() => {
    const text = props.target.device;
    if (props.target.kind === "device") void app.client.find(text, offeredMax).then(setOffered);
  });
  return (
    <>
      <Segments
        small
        name="target"
        legend="Whom"
        testid="target"
        value={props.target.kind}
        choices={[
          ["device", "One device"],
          ["selected", `Selected (${app.fleet.selected().size})`],
          ["type", "A type"],
          ["tag", "A tag"],
        ]}
        choose={(kind) => props.change({ kind })}
      />
      <Switch>
        <Match when={props.target.kind === "device"}>
          <div class="field">
            <label for={`${id}-device`}>Device</label>
            <input
              id={`${id}-device`}
              class="mono"
              required
              data-testid="target-id"
              autocomplete="off"
              spellcheck={false}
              list={`${id}-devices`}
              value={props.target.device}
              onInput={({ currentTarget }) => props.change({ device: currentTarget.value.trim() })}
            />
            <datalist id={`${id}-devices`}>
              <For each={offered()}>{(device) => <option value={device} />}</For>
            </datalist>
          </div>
        </Match>
        <Match when={props.target.kind === "selected"}>
          <p class="muted">
            {app.fleet.selected().size === 0
              ? "None is selected: tick devices in the fleet."
              : [...app.fleet.selected()].slice(0, 6).join(", ") +
                (app.fleet.selected().size > 6 ? " …" : "")}
          </p>
        </Match>
        <Match when={props.target.kind === "type"}>
          <ChoiceField
            label="Type"
            testid="target-type-name"
            values={app.devices.fleet().types}
            value={props.target.type}
            set={(type) => props.change({ type })}
          />
        </Match>
        <Match when={props.target.kind === "tag"}>
          <ChoiceField
            label="Tag"
            testid="target-tag-name"
            values={app.devices.fleet().tags}
            value={props.target.tag}
            set={(tag) => props.change({ tag })}
          />
        </Match>
      </Switch>
      <Show when={props.target.kind !== "device"}>
        <Pace target={props.target} change={props.change} />
      </Show>
    </>
  );
}

/** How many at a time, how fast, and when to give up. */
function Pace(props: { target: Target; change: (part: Partial<Target>) => void }) {
  const id = createUniqueId();
  return (
    <div class="field-row">
      <NumberField
        label="At a time"
        testid="batch-concurrency"
        min={1}
        max={100_000}
        value={props.target.concurrency}
        set={(concurrency) => props.change({ concurrency })}
        clear={() => props.change({ concurrency: null })}
      />
      <NumberField
        label="A second"
        testid="batch-rate"
        min={0.01}
        max={10_000}
        value={props.target.rate}
        set={(rate) => props.change({ rate })}
        clear={() => props.change({ rate: null })}
      />
      <div class="field">
        <label for={id}>Give up after</label>
        <span class="with-unit">
          <input
            id={id}
            type="number"
            min={1}
            max={props.target.abortUnit === "percent" ? 100 : 100_000}
            data-testid="batch-abort"
            value={props.target.abortAfter ?? ""}
            onInput={({ currentTarget: { value, valueAsNumber } }) =>
              props.change({ abortAfter: value === "" ? null : valueAsNumber })
            }
          />
          <select
            aria-label="Give up after failures, counted or in percent"
            data-testid="batch-abort-unit"
            value={props.target.abortUnit}
            onChange={({ currentTarget }) =>
              props.change({ abortUnit: currentTarget.value === "percent" ? "percent" : "failures" })
            }
          >
            <option value="failures">failures</option>
            <option value="percent">%</option>
          </select>
        </span>
      </div>
    </div>
  );
}
