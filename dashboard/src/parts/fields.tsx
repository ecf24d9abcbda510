// Fields with their labels.
import { createUniqueId, For, type JSX } from "solid-js";

/** A label above what is filled in. */
function Field(props: { label: string; children: (id: string) => JSX.Element }) {
  const id = createUniqueId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {props.children(id)}
    </div>
  );
}

/** A number; with `clear` there may be none. */
export function NumberField(props: {
  label: string;
  testid: string;
  unit?: string;
  min: number;
  max?: number;
  value: number | null;
  set: (value: number) => void;
  clear?: () => void;
}) {
  return (
    <Field label={props.label}>
      {(id) => (
        <span class="with-unit">
          <input
            id={id}
            data-testid={props.testid}
            type="number"
            required={props.clear === undefined}
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
      )}
    </Field>
  );
}

/** A line of text, or a moment of the reader's own time. */
export function TextField(props: {
  label: string;
  type?: "text" | "datetime-local";
  testid: string;
  value: string;
  set: (value: string) => void;
}) {
  return (
    <Field label={props.label}>
      {(id) => (
        <input
          id={id}
          data-testid={props.testid}
          type={props.type ?? "text"}
          autocomplete="off"
          value={props.value}
          onInput={({ currentTarget }) => props.set(currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** One of several, which must be chosen. */
export function ChoiceField(props: {
  label: string;
  testid: string;
  values: readonly string[];
  value: string;
  set: (value: string) => void;
}) {
  return (
    <Field label={props.label}>
      {(id) => (
        <select
          id={id}
          required
          data-testid={props.testid}
          value={props.value}
          onChange={({ currentTarget }) => props.set(currentTarget.value)}
        >
          <option value="">choose …</option>
          <For each={props.values}>{(value) => <option value={value}>{value}</option>}</For>
        </select>
      )}
    </Field>
  );
}

/** Yes or no. */
export function Check(props: {
  label: string;
  testid: string;
  value: boolean;
  disabled?: boolean;
  set: (on: boolean) => void;
}) {
  return (
    <label class="check-line">
      <input
        type="checkbox"
        data-testid={props.testid}
        checked={props.value}
        disabled={props.disabled === true}
        onChange={({ currentTarget }) => props.set(currentTarget.checked)}
      />
      {props.label}
    </label>
  );
}

/** What a list is narrowed by, once it has been written to its end. */
export function FilterField(props: {
  label: string;
  testid: string;
  value: string;
  set: (value: string) => void;
}) {
  return (
    <label>
      <span class="sr-only">{props.label}</span>
      <input
        type="search"
        class="mono"
        placeholder={props.label}
        data-testid={props.testid}
        autocomplete="off"
        spellcheck={false}
        value={props.value}
        onChange={({ currentTarget }) => props.set(currentTarget.value.trim())}
      />
    </label>
  );
}
