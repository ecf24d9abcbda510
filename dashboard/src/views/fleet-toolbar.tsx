// What to show of the fleet.
import { For, Show } from "solid-js";
import { useApp } from "../store/app";
import { type Filter, noFilter } from "../worker/select";

const statuses: readonly Filter["status"][] = ["any", "online", "offline"];

/** The filters, the choice of columns, and how many devices are left. */
export function FleetToolbar(props: { shown: number }) {
  const app = useApp();
  const { filter, setFilter } = app.fleet;
  const isFiltered = () => filter() !== noFilter;
  return (
    <search class="toolbar">
      <label class="grow">
        <span class="sr-only">Filter by id, type, tag or status</span>
        <input
          type="search"
          placeholder="Filter by id, type, tag or status"
          data-testid="filter"
          autocomplete="off"
          spellcheck={false}
          value={filter().text}
          onInput={({ currentTarget }) => setFilter({ text: currentTarget.value })}
        />
      </label>
      <fieldset class="segments">
        <legend class="sr-only">Status</legend>
        <For each={statuses}>
          {(status) => (
            <label>
              <input
                type="radio"
                name="status"
                class="sr-only"
                data-testid={`status-${status}`}
                checked={filter().status === status}
                onChange={() => setFilter({ status })}
              />
              <span>{status}</span>
            </label>
          )}
        </For>
      </fieldset>
      <label>
        <span class="sr-only">Type</span>
        <select
          data-testid="type"
          value={filter().type}
          onChange={({ currentTarget }) => setFilter({ type: currentTarget.value })}
        >
          <option value="">all types</option>
          <For each={app.devices.fleet().types}>{(type) => <option value={type}>{type}</option>}</For>
        </select>
      </label>
      <ColumnChoice />
      <output class="muted num" data-testid="shown">
        {props.shown} of {app.devices.fleet().known}
        <Show when={app.devices.fleet().beyond > 0}>
          , {app.devices.fleet().beyond} more than this page holds
        </Show>
      </output>
      <Show when={isFiltered()}>
        <button type="button" class="quiet" data-testid="clear" onClick={() => setFilter(noFilter)}>
          Clear
        </button>
      </Show>
    </search>
  );
}

/** Which metrics get a column of their own, to sort by; without any, each device shows its first ones. */
function ColumnChoice() {
  const app = useApp();
  const { columns, setColumns } = app.fleet;
  const toggle = (name: string, on: boolean) =>
    setColumns(on ? [...columns(), name] : columns().filter((column) => column !== name));
  return (
    <details class="popup">
      <summary class="button" data-testid="columns">
        Columns
        <Show when={columns().length > 0}>
          <span class="muted num">{columns().length}</span>
        </Show>
      </summary>
      <fieldset class="panel choices">
        <legend>Metrics with a column of their own</legend>
        <For each={app.devices.fleet().metrics} fallback={<p class="muted">No metric is known yet.</p>}>
          {(name) => (
            <label>
              <input
                type="checkbox"
                checked={columns().includes(name)}
                onChange={({ currentTarget }) => toggle(name, currentTarget.checked)}
              />
              {name}
            </label>
          )}
        </For>
      </fieldset>
    </details>
  );
}
