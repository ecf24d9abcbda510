// One of a few, all in sight.
import { createUniqueId, For } from "solid-js";

/** A row of choices, of which one is on. */
export function Segments<T extends string>(props: {
  name: string;
  legend: string;
  testid: string;
  value: T;
  choices: readonly (readonly [value: T, label: string])[];
  choose: (value: T) => void;
  small?: boolean;
}) {
  const id = createUniqueId();
  return (
    <fieldset class="segments" classList={{ small: props.small === true }}>
      <legend class="sr-only">{props.legend}</legend>
      <For each={props.choices}>
        {([value, label]) => (
          <label>
            <input
              type="radio"
              name={`${props.name}-${id}`}
              class="sr-only"
              data-testid={`${props.testid}-${value}`}
              checked={props.value === value}
              onChange={() => props.choose(value)}
            />
            <span>{label}</span>
          </label>
        )}
      </For>
    </fieldset>
  );
}
