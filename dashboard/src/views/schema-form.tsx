// The fields of a command's parameters, as its schema describes them.
import { createUniqueId, For, Match, Show, Switch } from "solid-js";
import { tryJson } from "../text/params";
import type { Field } from "../text/schema";

/** The fields; what was left empty is not among `params`. */
export function SchemaForm(props: {
  fields: readonly Field[];
  params: Readonly<Record<string, unknown>>;
  change: (params: Record<string, unknown>) => void;
}) {
  const set = (name: string, value: unknown) => {
    const { [name]: _, ...rest } = props.params;
    props.change(value === undefined ? rest : { ...rest, [name]: value });
  };
  return (
    <div class="schema-form" data-testid="schema-form">
      <For each={props.fields} fallback={<p class="muted">It takes no parameters.</p>}>
        {(field) => (
          <SchemaField
            field={field}
            value={props.params[field.name]}
            set={(value) => set(field.name, value)}
          />
        )}
      </For>
    </div>
  );
}

function SchemaField(props: { field: Field; value: unknown; set: (value: unknown) => void }) {
  const id = createUniqueId();
  const { field } = props;
  const attributes = {
    id,
    "data-testid": `field-${field.name}`,
    "aria-describedby": field.hint === "" ? undefined : `${id}-hint`,
    required: field.isRequired,
  };
  return (
    <div class="field" classList={{ check: field.kind === "boolean" }}>
      <label for={id}>
        {field.title}
        <Show when={field.isRequired && field.kind !== "boolean"}>
          <span aria-hidden="true"> *</span>
        </Show>
      </label>
      <Switch>
        <Match when={field.kind === "choice"}>
          <select
            {...attributes}
            onChange={({ currentTarget }) => {
              const at = Number(currentTarget.value);
              props.set(currentTarget.value === "" ? undefined : field.choices[at]);
            }}
          >
            <option value="">choose …</option>
            <For each={field.choices}>
              {(choice, index) => (
                <option value={index()} selected={JSON.stringify(choice) === JSON.stringify(props.value)}>
                  {typeof choice === "string" ? choice : JSON.stringify(choice)}
                </option>
              )}
            </For>
          </select>
        </Match>
        <Match when={field.kind === "boolean"}>
          <input
            {...attributes}
            required={false}
            type="checkbox"
            checked={props.value === true}
            onChange={({ currentTarget }) => props.set(currentTarget.checked)}
          />
        </Match>
        <Match when={field.kind === "number" || field.kind === "integer"}>
          <input
            {...attributes}
            type="number"
            min={field.min}
            max={field.max}
            step={field.step}
            value={typeof props.value === "number" ? props.value : ""}
            onInput={({ currentTarget }) =>
              props.set(Number.isNaN(currentTarget.valueAsNumber) ? undefined : currentTarget.valueAsNumber)
            }
          />
        </Match>
        <Match when={field.kind === "text"}>
          <input
            {...attributes}
            type="text"
            autocomplete="off"
            maxlength={field.lengthMax}
            value={typeof props.value === "string" ? props.value : ""}
            onInput={({ currentTarget }) =>
              props.set(currentTarget.value === "" && !field.isRequired ? undefined : currentTarget.value)
            }
          />
        </Match>
        <Match when={field.kind === "json"}>
          <JsonField attributes={attributes} initial={props.value} set={props.set} />
        </Match>
      </Switch>
      <Show when={field.hint !== "" || field.min !== undefined || field.max !== undefined}>
        <span class="hint" id={`${id}-hint`}>
          {field.hint} {boundsText(field)}
        </span>
      </Show>
    </div>
  );
}

/** A parameter that is a list, an object or anything. */
function JsonField(props: { attributes: object; initial: unknown; set: (value: unknown) => void }) {
  const first = props.initial === undefined ? "" : JSON.stringify(props.initial);
  return (
    <input
      {...props.attributes}
      type="text"
      class="mono"
      placeholder="JSON"
      autocomplete="off"
      spellcheck={false}
      value={first}
      onInput={({ currentTarget }) => {
        const parsed = tryJson(currentTarget.value);
        const isEmpty = currentTarget.value.trim() === "";
        currentTarget.setCustomValidity(parsed.kind === "bad" && !isEmpty ? parsed.message : "");
        if (isEmpty) props.set(undefined);
        else if (parsed.kind === "ok") props.set(parsed.value);
      }}
    />
  );
}

function boundsText({ kind, min, max }: Field): string {
  if (kind !== "number" && kind !== "integer") return "";
  if (min !== undefined && max !== undefined) return `${min} to ${max}`;
  if (min !== undefined) return `at least ${min}`;
  return max === undefined ? "" : `at most ${max}`;
}
