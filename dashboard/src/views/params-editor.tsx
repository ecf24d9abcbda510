// The parameters of a command, as rows or as JSON.
import { createUniqueId, For, Index, Match, Show, Switch } from "solid-js";
import { fromParams, kindOf, type ParamRow, type Params, type ParamsText } from "../text/params";
import type { Field } from "../text/schema";
import { SchemaForm } from "./schema-form";

/** The editor; `understood` is what `text` comes to, `fields` what a form asks for where the command is described. */
export function ParamsEditor(props: {
  text: ParamsText;
  understood: Params;
  fields: readonly Field[] | null;
  change: (text: ParamsText) => void;
}) {
  const id = createUniqueId();
  const bad = () => (props.understood.kind === "bad" ? props.understood.message : null);
  const rows = () => (props.text.kind === "rows" ? props.text.rows : []);
  const json = () => (props.text.kind === "json" ? props.text.json : "");
  const modes = (): (readonly [ParamsText["kind"], string])[] => [
    ...(props.fields === null ? [] : [["form", "Form"] as const]),
    ["rows", "Rows"],
    ["json", "JSON"],
  ];
  const switchTo = (kind: ParamsText["kind"]) => {
    if (props.understood.kind === "ok") props.change(fromParams(kind, props.understood.params));
  };
  const setRow = (at: number, change: Partial<ParamRow>) =>
    props.change({
      kind: "rows",
      rows: rows().map((row, index) => (index === at ? { ...row, ...change } : row)),
    });
  return (
    <fieldset class="params" aria-labelledby={`${id}-title`}>
      <div class="params-head">
        <span id={`${id}-title`}>Parameters</span>
        <fieldset class="segments small">
          <legend class="sr-only">Write them as</legend>
          <For each={modes()}>
            {([mode, label]) => (
              <ModeChoice
                mode={mode}
                label={label}
                name={id}
                checked={props.text.kind === mode}
                disabled={bad() !== null}
                choose={switchTo}
              />
            )}
          </For>
        </fieldset>
      </div>
      <Switch>
        <Match when={props.text.kind === "form" && props.text}>
          {(form) => (
            <SchemaForm
              fields={props.fields ?? []}
              params={form().params}
              change={(params) => props.change({ kind: "form", params })}
            />
          )}
        </Match>
        <Match when={props.text.kind === "rows"}>
          <Index each={rows()}>
            {(row, index) => (
              <div class="param-row">
                <input
                  aria-label={`Name of parameter ${index + 1}`}
                  data-testid={`param-key-${index}`}
                  class="mono"
                  placeholder="name"
                  autocomplete="off"
                  spellcheck={false}
                  value={row().key}
                  onInput={({ currentTarget }) => setRow(index, { key: currentTarget.value })}
                />
                <input
                  aria-label={`Value of parameter ${index + 1}`}
                  data-testid={`param-value-${index}`}
                  class="mono"
                  placeholder="value"
                  autocomplete="off"
                  spellcheck={false}
                  value={row().value}
                  onInput={({ currentTarget }) => setRow(index, { value: currentTarget.value })}
                />
                <span class="param-kind muted">{row().value === "" ? "" : kindOf(row().value)}</span>
                <button
                  type="button"
                  class="quiet"
                  aria-label={`Remove parameter ${index + 1}`}
                  onClick={() => props.change({ kind: "rows", rows: rows().filter((_, at) => at !== index) })}
                >
                  ×
                </button>
              </div>
            )}
          </Index>
          <button
            type="button"
            class="quiet"
            data-testid="param-add"
            onClick={() => props.change({ kind: "rows", rows: [...rows(), { key: "", value: "" }] })}
          >
            + Add a parameter
          </button>
        </Match>
        <Match when={props.text.kind === "json"}>
          <textarea
            aria-label="Parameters as JSON"
            data-testid="params-json"
            class="mono"
            rows="4"
            spellcheck={false}
            aria-invalid={bad() !== null}
            aria-describedby={`${id}-bad`}
            value={json()}
            onInput={({ currentTarget }) => props.change({ kind: "json", json: currentTarget.value })}
          />
        </Match>
      </Switch>
      <Show when={bad()}>
        {(message) => (
          <p class="problem" id={`${id}-bad`} data-testid="params-problem">
            {message()}
          </p>
        )}
      </Show>
    </fieldset>
  );
}

function ModeChoice(props: {
  mode: ParamsText["kind"];
  label: string;
  name: string;
  checked: boolean;
  disabled: boolean;
  choose: (mode: ParamsText["kind"]) => void;
}) {
  return (
    <label>
      <input
        type="radio"
        class="sr-only"
        name={props.name}
        data-testid={`params-as-${props.mode}`}
        checked={props.checked}
        disabled={props.disabled && !props.checked}
        onChange={() => props.choose(props.mode)}
      />
      <span>{props.label}</span>
    </label>
  );
}
