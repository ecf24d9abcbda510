// What to show of the fleet.
import { For, Show } from "solid-js";
import { closeByItself } from "../parts/popup";
import { Segments } from "../parts/segments";
import { useApp } from "../store/app";
import { type Filter, isSameFilter, noFilter } from "../worker/select";

const alertTexts: readonly [value: Filter["alert"], text: string][] = [
  ["any", "any alert or none"],
  ["info", "with an alert"],
  ["warning", "warning or worse"],
  ["critical", "critical"],
];

/** The filters, the choice of columns, and how many devices are left. */
export function FleetToolbar(props: { shown: number; isHeld: boolean }) {
  const app = useApp();
  const { filter, setFilter } = app.fleet;
  const isFiltered = () => !isSameFilter(filter(), noFilter);
  const fleet = () => app.devices.fleet();
  return (
    <search class="toolbar">
      <label class="grow">
        <span class="sr-only">Filter by id, type, tag or status</span>
        <input
          type="search"
          placeholder="Id, type, tag or status"
          data-testid="filter"
          autocomplete="off"
          spellcheck={false}
          value={filter().text}
          onInput={({ currentTarget }) => setFilter({ text: currentTarget.value })}
        />
      </label>
      <Segments
        name="status"
        legend="Status"
        testid="status"
        value={filter().status}
        choices={[
          ["any", "any"],
          ["online", "online"],
          ["offline", "offline"],
        ]}
        choose={(status) => setFilter({ status })}
      />
      <Choice
        label="Type"
        testid="type"
        value={filter().type}
        none="all types"
        values={app.devices.fleet().types}
        choose={(type) => setFilter({ type })}
      />
      <Show when={fleet().tags.length > 0 || filter().tag !== ""}>
        <Choice
          label="Tag"
          testid="tag"
          value={filter().tag}
          none="all tags"
          values={fleet().tags}
          choose={(tag) => setFilter({ tag })}
        />
      </Show>
      <label>
        <span class="sr-only">Alert</span>
        <select
          data-testid="alert-filter"
          value={filter().alert}
          onChange={({ currentTarget }) => setFilter({ alert: currentTarget.value as Filter["alert"] })}
        >
          <For each={alertTexts}>{([value, text]) => <option value={value}>{text}</option>}</For>
        </select>
      </label>
      <ColumnChoice />
      <Segments
        name="layout"
        legend="Show as"
        testid="layout"
        value={app.fleet.layout()}
        choices={[
          ["table", "table"],
          ["grid", "grid"],
        ]}
        choose={app.fleet.setLayout}
      />
      <output class="muted num" data-testid="shown">
        {props.shown} of {fleet().known}
        <Show when={fleet().beyond > 0}>, {fleet().beyond} more than this page holds</Show>
      </output>
      <Show when={app.roster().read}>
        {(read) => (
          <span class="muted num" data-testid="reading">
            types and tags of {read()} so far
          </span>
        )}
      </Show>
      <Show when={props.isHeld}>
        <span class="muted held" data-testid="held">
          Order held
        </span>
      </Show>
      <Show when={isFiltered()}>
        <button type="button" class="quiet" data-testid="clear" onClick={() => setFilter(noFilter)}>
          Clear
        </button>
      </Show>
    </search>
  );
}

/** One of many, or none; what was chosen stays in the list although nobody has it just now. */
function Choice(props: {
  label: string;
  testid: string;
  value: string;
  none: string;
  values: readonly string[];
  choose: (value: string) => void;
}) {
  const values = () =>
    props.value === "" || props.values.includes(props.value) ? props.values : [props.value, ...props.values];
  return (
    <label>
      <span class="sr-only">{props.label}</span>
      <select
        data-testid={props.testid}
        value={props.value}
        onChange={({ currentTarget }) => props.choose(currentTarget.value)}
      >
        <option value="">{props.none}</option>
        <For each={values()}>
          {(value) => (
            <option value={value} selected={value === props.value}>
              {value}
            </option>
          )}
        </For>
      </select>
    </label>
  );
}

/** Which metrics get a column of their own, to sort by; without any, each device shows its first ones. */
function ColumnChoice() {
  const app = useApp();
  const { columns, setColumns } = app.fleet;
  const toggle = (name: string, on: boolean) =>
    setColumns(on ? [...columns(), name] : columns().filter((column) => column !== name));
  return (
    <details class="popup" ref={closeByItself}>
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
