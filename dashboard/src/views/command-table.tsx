// Commands by a filter, live.
import { For, Show } from "solid-js";
import { Problem, unread } from "../parts/problem";
import type { CommandList } from "../store/command-list";
import { CommandRow } from "./command-row";

/** The table, the newest first. */
export function CommandTable(props: { list: CommandList }) {
  const shown = () => props.list.commands().all();
  return (
    <>
      <Problem text={unread("The commands", props.list.problem())} notice />
      <section class="table-frame card" tabindex="0" aria-label="Commands">
        <table class="plain dense stacked values" data-testid="command-table">
          <thead>
            <tr>
              <th scope="col">State</th>
              <th scope="col">Command</th>
              <th scope="col">Device</th>
              <th scope="col" class="wide-only">
                <span class="sr-only">What it waits for or came to</span>
              </th>
              <th scope="col">Created</th>
            </tr>
          </thead>
          <tbody>
            <For
              each={shown()}
              fallback={
                <tr>
                  <td colspan="5" class="empty">
                    {props.list.isRead() ? "There is none." : "Waiting for the list …"}
                  </td>
                </tr>
              }
            >
              {(record) => <CommandRow record={record} />}
            </For>
          </tbody>
        </table>
      </section>
      <Show when={props.list.hasMore()}>
        <button
          type="button"
          class="more-button"
          data-testid="commands-more"
          onClick={() => props.list.more()}
        >
          Show older ones
        </button>
      </Show>
    </>
  );
}
