// All devices at a glance.
import { Show } from "solid-js";
import { Problem, unread } from "../parts/problem";
import { pageHref } from "../router";
import { useApp } from "../store/app";
import { FleetGrid } from "./fleet-grid";
import { FleetSummary } from "./fleet-summary";
import { FleetTable } from "./fleet-table";
import { FleetToolbar } from "./fleet-toolbar";

/** The summary, the filters, and the devices as a table or as cards. */
export function FleetPage() {
  const app = useApp();
  const rows = app.devices.rows.bind(app.devices);
  return (
    <div class="fleet">
      <h1 class="sr-only">Fleet</h1>
      <FleetSummary />
      <FleetToolbar shown={rows().shown} isHeld={rows().isHeld} />
      <SelectionBar />
      <Problem text={unread("The list of devices", app.roster().problem)} notice>
        <button type="button" onClick={() => app.loadRoster()}>
          Read it again
        </button>
      </Problem>
      <Show
        when={app.fleet.layout() === "table"}
        fallback={<FleetGrid rows={rows()} columns={app.fleet.columns()} />}
      >
        <FleetTable rows={rows()} columns={app.fleet.columns()} />
      </Show>
    </div>
  );
}

/** What can be done with the devices that were selected. */
function SelectionBar() {
  const { fleet } = useApp();
  return (
    <Show when={fleet.selected().size > 0}>
      <div class="selection" data-testid="selection">
        <span class="num">
          {fleet.selected().size} {fleet.selected().size === 1 ? "device" : "devices"} selected
        </span>
        <a
          class="button primary"
          href={pageHref("commands", { to: "selected" })}
          data-testid="selection-command"
        >
          Send a command …
        </a>
        <button type="button" class="quiet" data-testid="selection-clear" onClick={() => fleet.selectAll([])}>
          Select none
        </button>
      </div>
    </Show>
  );
}
