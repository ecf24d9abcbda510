// All devices at a glance.
import { Show } from "solid-js";
import { useApp } from "../store/app";
import { FleetSummary } from "./fleet-summary";
import { FleetTable } from "./fleet-table";
import { FleetToolbar } from "./fleet-toolbar";

/** The summary, the filters and the table. */
export function FleetPage() {
  const app = useApp();
  return (
    <div class="fleet">
      <h1 class="sr-only">Fleet</h1>
      <FleetSummary />
      <FleetToolbar shown={app.devices.rows().shown} />
      <Show when={app.roster().problem}>
        {(problem) => (
          <p class="notice" role="alert">
            The list of devices could not be read: {problem()}.{" "}
            <button type="button" onClick={() => app.loadRoster()}>
              Read it again
            </button>
          </p>
        )}
      </Show>
      <FleetTable rows={app.devices.rows()} columns={app.fleet.columns()} />
    </div>
  );
}
