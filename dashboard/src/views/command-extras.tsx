// When a command may be sent, how long it may take, and what few commands need.
import { createUniqueId, For, Show } from "solid-js";
import { type Draft, type Expectation, emptyExpectation } from "../store/draft";

const operators = ["==", "!=", "<", "<=", ">", ">="];

/** The two clocks in sight, the rest behind a fold. */
export function CommandExtras(props: { draft: Draft }) {
  const extras = () => props.draft.extras();
  const set = props.draft.setExtras;
  return (
    <>
      <div class="field-row">
        <NumberField
          label="Time to finish"
          testid="command-timeout"
          unit="s"
          min={1}
          value={extras().timeoutS}
          set={(timeoutS) => set({ timeoutS })}
        />
        <NumberField
          label="May wait to be sent"
          testid="command-ttl"
          unit="s"
          min={0}
          value={extras().ttlS}
          set={(ttlS) => set({ ttlS })}
        />
      </div>
      <details class="more">
        <summary data-testid="command-more">More</summary>
        <div class="field-row">
          <TextField
            label="Not before (your time)"
            type="datetime-local"
            testid="command-not-before"
            value={extras().notBefore}
            set={(notBefore) => set({ notBefore })}
          />
          <NumberField
            label="Priority"
            testid="command-priority"
            min={-1_000}
            value={extras().priority}
            set={(priority) => set({ priority })}
          />
        </div>
        <TextField
          label="Takes the place of what waits with the same mark"
          type="text"
          testid="command-supersede"
          value={extras().supersede}
          set={(supersede) => set({ supersede })}
        />
        <Check
          label="May be sent again after the device has it"
          testid="command-idempotent"
          checked={extras().isIdempotent}
          set={(isIdempotent) => set({ isIdempotent })}
        />
        <Check
          label="Progress renews its time"
          testid="command-progress-extends"
          checked={extras().progressExtends}
          set={(progressExtends) => set({ progressExtends })}
        />
        <Check
          label="Verify what the device says afterwards"
          testid="command-expect"
          checked={extras().expectation !== null}
          set={(on) => set({ expectation: on ? emptyExpectation : null })}
        />
        <Show when={extras().expectation}>
          {(expectation) => (
            <ExpectFields
              expectation={expectation()}
              set={(change) => set({ expectation: { ...expectation(), ...change } })}
            />
          )}
        </Show>
      </details>
    </>
  );
}

function ExpectFields(props: { expectation: Expectation; set: (change: Partial<Expectation>) => void }) {
  return (
    <fieldset class="expect">
      <legend class="sr-only">What is expected</legend>
      <select
        aria-label="Of what"
        data-testid="expect-subject"
        value={props.expectation.subject}
        onChange={({ currentTarget }) =>
          props.set({ subject: currentTarget.value as Expectation["subject"] })
        }
      >
        <option value="metric">metric</option>
        <option value="state">state</option>
      </select>
      <input
        aria-label="Its name"
        class="mono"
        required
        placeholder="name"
        data-testid="expect-name"
        value={props.expectation.name}
        onInput={({ currentTarget }) => props.set({ name: currentTarget.value })}
      />
      <select
        aria-label="Compared"
        data-testid="expect-op"
        value={props.expectation.op}
        onChange={({ currentTarget }) => props.set({ op: currentTarget.value })}
      >
        <For each={operators}>{(op) => <option value={op}>{op}</option>}</For>
      </select>
      <input
        aria-label="With"
        class="mono"
        required
        placeholder="value"
        data-testid="expect-value"
        value={props.expectation.value}
        onInput={({ currentTarget }) => props.set({ value: currentTarget.value })}
      />
      <NumberField
        label="Within"
        testid="expect-within"
        unit="s"
        min={1}
        value={props.expectation.withinS}
        set={(withinS) => props.set({ withinS })}
      />
    </fieldset>
  );
}

/** A number with a label. */
export function NumberField(props: {
  label: string;
  testid: string;
  unit?: string;
  min: number;
  max?: number;
  isOptional?: boolean;
  value: number | null;
  set: (value: number) => void;
  clear?: () => void;
}) {
  const id = createUniqueId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <span class="with-unit">
        <input
          id={id}
          data-testid={props.testid}
          type="number"
          required={props.isOptional !== true}
          min={props.min}
          max={props.max ?? 86_400}
          step="any"
          value={props.value ?? ""}
          onInput={({ currentTarget }) => {
            if (currentTarget.value === "") props.clear?.();
            else if (currentTarget.validity.valid) props.set(currentTarget.valueAsNumber);
          }}
        />
        {props.unit}
      </span>
    </div>
  );
}

function TextField(props: {
  label: string;
  type: "text" | "datetime-local";
  testid: string;
  value: string;
  set: (value: string) => void;
}) {
  const id = createUniqueId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <input
        id={id}
        data-testid={props.testid}
        type={props.type}
        autocomplete="off"
        value={props.value}
        onInput={({ currentTarget }) => props.set(currentTarget.value)}
      />
    </div>
  );
}

function Check(props: { label: string; testid: string; checked: boolean; set: (on: boolean) => void }) {
  return (
    <label class="check-line">
      <input
        type="checkbox"
        data-testid={props.testid}
        checked={props.checked}
        onChange={({ currentTarget }) => props.set(currentTarget.checked)}
      />
      {props.label}
    </label>
  );
}
