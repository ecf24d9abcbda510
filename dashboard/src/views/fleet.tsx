// All devices at a glance.
import { createMemo, Show } from "solid-js";
import { createTicker } from "../parts/ticker";
import { useApp } from "../store/app";
import { isRestless, select } from "../store/fleet";
import { FleetSummary } from "./fleet-summary";
import { FleetTable } from "./fleet-table";
import { FleetToolbar } from "./fleet-toolbar";

/** A table that is sorted by what changes all the time is put in order again this often. */
const reorderMs = 2_000;

/** The summary, the filters and the table. */
export function FleetPage() {
  const app = useApp();
  const tick = createTicker(reorderMs);
  const shown = createMemo(() => {
    const { filter, sort } = app.fleet;
    if (isRestless(sort())) tick();
    return select(app.devices.all(), filter(), sort());
  });
  return (
    <div class="fleet">
      <h1 class="sr-only">Fleet</h1>
      <FleetSummary />
      <FleetToolbar shown={shown().length} />
      <Show when={app.roster.problem()}>
        {(problem) => (
          <p class="notice" role="alert">
            The list of devices could not be read: {problem()}.{" "}
            <button type="button" onClick={() => void app.roster.load()}>
              Read it again
            </button>
          </p>
        )}
      </Show>
      <FleetTable devices={shown()} columns={app.fleet.columns()} />
    </div>
  );
}
