// When a command may be sent, how long it may take, and what few commands need.
import { For, Show } from "solid-js";
import { Check, NumberField, TextField } from "../parts/fields";
import { type Draft, type Expectation, type Extras, emptyExpectation } from "../store/draft";

const operators = ["==", "!=", "<", "<=", ">", ">="];

/** The two clocks in sight, the rest behind a fold. */
export function CommandExtras(props: { draft: Draft }) {
  const extras = () => props.draft.extras();
  /** The value of a field, and what takes another. */
  const field = <K extends keyof Extras>(key: K) => ({
    get value() {
      return extras()[key];
    },
    set: (value: Extras[K]) => props.draft.setExtras({ [key]: value }),
  });
  const expect = (expectation: Expectation | null) => props.draft.setExtras({ expectation });
  return (
    <>
      <div class="field-row">
        <NumberField
          label="Time to finish"
          testid="command-timeout"
          unit="s"
          min={1}
          {...field("timeoutS")}
        />
        <NumberField label="May wait to be sent" testid="command-ttl" unit="s" min={0} {...field("ttlS")} />
      </div>
      <details class="more">
        <summary data-testid="command-more">More</summary>
        <div class="field-row">
          <TextField
            label="Not before (your time)"
            type="datetime-local"
            testid="command-not-before"
            {...field("notBefore")}
          />
          <NumberField label="Priority" testid="command-priority" min={-1_000} {...field("priority")} />
        </div>
        <TextField
          label="Takes the place of what waits with the same mark"
          testid="command-supersede"
          {...field("supersede")}
        />
        <Check
          label="May be sent again after the device has it"
          testid="command-idempotent"
          {...field("isIdempotent")}
        />
        <Check
          label="Progress renews its time"
          testid="command-progress-extends"
          {...field("progressExtends")}
        />
        <Check
          label="Verify what the device says afterwards"
          testid="command-expect"
          value={extras().expectation !== null}
          set={(on) => expect(on ? emptyExpectation : null)}
        />
        <Show when={extras().expectation}>
          {(expectation) => (
            <ExpectFields
              expectation={expectation()}
              set={(change) => expect({ ...expectation(), ...change })}
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
      <Pick
        label="Of what"
        testid="expect-subject"
        values={["metric", "state"]}
        value={props.expectation.subject}
        set={(subject) => props.set({ subject: subject === "state" ? "state" : "metric" })}
      />
      <Word
        label="Its name"
        hint="name"
        testid="expect-name"
        value={props.expectation.name}
        set={(name) => props.set({ name })}
      />
      <Pick
        label="Compared"
        testid="expect-op"
        values={operators}
        value={props.expectation.op}
        set={(op) => props.set({ op })}
      />
      <Word
        label="With"
        hint="value"
        testid="expect-value"
        value={props.expectation.value}
        set={(value) => props.set({ value })}
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

/** One of several, in a line of fields that has a name as a whole. */
function Pick(props: {
  label: string;
  testid: string;
  values: readonly string[];
  value: string;
  set: (value: string) => void;
}) {
  return (
    <select
      aria-label={props.label}
      data-testid={props.testid}
      value={props.value}
      onChange={({ currentTarget }) => props.set(currentTarget.value)}
    >
      <For each={props.values}>{(value) => <option value={value}>{value}</option>}</For>
    </select>
  );
}

/** A word in such a line. */
function Word(props: {
  label: string;
  hint: string;
  testid: string;
  value: string;
  set: (value: string) => void;
}) {
  return (
    <input
      aria-label={props.label}
      class="mono"
      required
      placeholder={props.hint}
      data-testid={props.testid}
      value={props.value}
      onInput={({ currentTarget }) => props.set(currentTarget.value)}
    />
  );
}
