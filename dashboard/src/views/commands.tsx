// The console: tells one device or many to do something, and shows what became of it.
import { createMemo, For } from "solid-js";
import { useApp } from "../store/app";
import { type CommandFilter, createCommandList, noCommandFilter } from "../store/command-list";
import { stateTexts } from "../text/command";
import { CommandTable } from "./command-table";
import { Console } from "./console";

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
          <FilterField
            type="search"
            label="Device"
            testid="commands-device"
            value={filter().device}
            set={(device) => setQuery({ device })}
          />
          <FilterField
            type="text"
            label="Name"
            testid="commands-name"
            value={filter().name}
            set={(name) => setQuery({ name })}
          />
          <FilterField
            type="text"
            label="Batch"
            testid="commands-batch"
            value={filter().batch}
            set={(batch) => setQuery({ batch })}
          />
        </search>
        <CommandTable list={list} />
      </div>
    </div>
  );
}

function FilterField(props: {
  type: "search" | "text";
  label: string;
  testid: string;
  value: string;
  set: (value: string) => void;
}) {
  return (
    <label>
      <span class="sr-only">{props.label}</span>
      <input
        type={props.type}
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
