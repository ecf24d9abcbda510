// The console: tells one device or many to do something, and shows what became of it.
import { createMemo, For } from "solid-js";
import { FilterField } from "../parts/fields";
import { useApp } from "../store/app";
import { type CommandFilter, createCommandList, noCommandFilter } from "../store/command-list";
import { stateTexts } from "../text/command";
import { CommandTable } from "./command-table";
import { Console } from "./console";

/** What the list is narrowed by, beside the state. */
const narrowedBy = [
  ["device", "Device"],
  ["name", "Name"],
  ["batch", "Batch"],
] as const;

/** The console and the list. */
export default function CommandsPage() {
  const app = useApp();
  const { query, setQuery } = app.place;
  const filter = createMemo<CommandFilter>(
    () => ({
      device: query().device ?? "",
      state: query().state ?? "",
      name: query().name ?? "",
      batch: query().batch ?? "",
    }),
    noCommandFilter,
    { equals: (one, other) => JSON.stringify(one) === JSON.stringify(other) },
  );
  const list = createCommandList(app, filter);
  return (
    <div class="page two" data-testid="commands-page">
      <h1 class="sr-only">Commands</h1>
      <Console />
      <div class="page-part">
        <search class="toolbar">
          <label>
            <span class="sr-only">State</span>
            <select
              data-testid="commands-state"
              value={filter().state}
              onChange={({ currentTarget }) => setQuery({ state: currentTarget.value })}
            >
              <option value="">any state</option>
              <option value="open">not ended</option>
              <For each={Object.entries(stateTexts)}>
                {([state, { label }]) => <option value={state}>{label}</option>}
              </For>
            </select>
          </label>
          <For each={narrowedBy}>
            {([key, label]) => (
              <FilterField
                label={label}
                testid={`commands-${key}`}
                value={filter()[key]}
                set={(text) => setQuery({ [key]: text })}
              />
            )}
          </For>
        </search>
        <CommandTable list={list} />
      </div>
    </div>
  );
}
