// What a command is: its name, its parameters, and what few commands need.
import { createMemo, createUniqueId, For, Show } from "solid-js";
import type { Command } from "../generated/protocol";
import { useDeviceTypes } from "../store/device-types";
import type { Draft } from "../store/draft";
import { fromParams, readParams } from "../text/params";
import { fieldsOf, initialOf } from "../text/schema";
import { CommandExtras } from "./command-extras";
import { ParamsEditor } from "./params-editor";
import { type Suggestion, suggestionsFor } from "./suggestions";

/** The fields of a command for devices of a type; `sent` are the commands that they got before, the newest first. */
export function CommandFields(props: { draft: Draft; type: string | null; sent: readonly Command[] }) {
  const id = createUniqueId();
  const types = useDeviceTypes();
  const known = () => (props.type === null ? undefined : types().get(props.type));
  const suggestions = (): readonly Suggestion[] => {
    const commands = known()?.commands;
    if (commands === undefined) return suggestionsFor(props.type, props.sent);
    return Object.entries(commands).map(([name, { params }]) => ({
      name,
      params: initialOf(fieldsOf(params) ?? []),
    }));
  };
  const described = () => known()?.commands[props.draft.name()];
  const fields = createMemo(() => {
    const command = described();
    return command === undefined ? null : fieldsOf(command.params);
  });
  const take = (suggestion: Suggestion) => {
    props.draft.setName(suggestion.name);
    const { kind } = props.draft.params();
    const isDescribed = fields() !== null;
    const form = isDescribed ? "form" : kind === "form" ? "rows" : kind;
    props.draft.setParams(fromParams(form, suggestion.params));
  };
  const nameChanged = (name: string) => {
    props.draft.setName(name);
    const { draft } = props;
    const read = readParams(draft.params());
    const isEmpty = read.kind === "ok" && Object.keys(read.params).length === 0;
    if (fields() !== null && isEmpty) draft.setParams(fromParams("form", initialOf(fields() ?? [])));
    else if (fields() === null && draft.params().kind === "form" && read.kind === "ok") {
      draft.setParams(fromParams("rows", read.params));
    }
  };
  return (
    <>
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
          value={props.draft.name()}
          onInput={({ currentTarget }) => nameChanged(currentTarget.value)}
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
              title={known()?.commands[suggestion.name]?.title ?? ""}
              onClick={() => take(suggestion)}
            >
              {suggestion.name}
            </button>
          )}
        </For>
      </fieldset>
      <Show when={described()?.description}>{(text) => <p class="hint">{text()}</p>}</Show>
      <ParamsEditor
        text={props.draft.params()}
        understood={props.draft.understood()}
        fields={fields()}
        change={props.draft.setParams}
      />
      <CommandExtras draft={props.draft} />
    </>
  );
}
