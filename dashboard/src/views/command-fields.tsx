// What a command is: its name, its parameters, and what few commands need.
import { createEffect, createMemo, createUniqueId, For, on, Show } from "solid-js";
import type { Command } from "../generated/protocol";
import { useDeviceTypes } from "../store/device-types";
import type { Draft } from "../store/draft";
import { fromParams, type ParamsText, readParams } from "../text/params";
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
  // What a suggestion left, as long as nobody has typed over it.
  let taken: ParamsText | null = null;
  const take = (suggestion: Suggestion) => {
    props.draft.setName(suggestion.name);
    const { kind } = props.draft.params();
    taken = fromParams(fields() !== null ? "form" : kind === "form" ? "rows" : kind, suggestion.params);
    props.draft.setParams(taken);
  };
  // The name and the description of its parameters come in any order: where nothing was typed, the form is theirs.
  createEffect(
    on(fields, (now) => {
      const { draft } = props;
      const text = draft.params();
      const read = readParams(text);
      if (read.kind === "bad") return;
      const isEmpty = Object.keys(read.params).length === 0;
      if (now === null && text.kind === "form") draft.setParams(fromParams("rows", read.params));
      else if (now !== null && isEmpty) draft.setParams(fromParams("form", initialOf(now)));
      else if (now !== null && text === taken) draft.setParams(fromParams("form", read.params));
    }),
  );
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
          onInput={({ currentTarget }) => props.draft.setName(currentTarget.value)}
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
