// What stands around every page.
import { createEffect, For, Match, Switch } from "solid-js";
import { ConnectionBanner, ConnectionIndicator, StoreBanner, WorkerBanner } from "../parts/connection";
import { loadChart } from "../parts/load-chart";
import { ThemeButton } from "../parts/theme";
import { createRoute, fleetHref, type Route } from "../router";
import { useApp } from "../store/app";
import { DevicePage } from "./device";
import { FleetPage } from "./fleet";

/** The head with the state of the connection, and the page under it. */
export function Shell() {
  const app = useApp();
  const route = createRoute();
  const deviceId = () => idOf(route());
  createEffect(() => {
    document.title = deviceId() === null ? "Sluice" : `${deviceId()} · Sluice`;
  });
  createEffect(() => {
    // Fetched while there is a gateway to fetch it from: a device's page may be opened when there is none.
    if (app.isLive()) void loadChart();
  });
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the content
      </button>
      <header class="bar">
        <a class="brand" href={fleetHref} data-testid="brand">
          <svg viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
            <path d="M4 11.5c4-3.5 8-3.5 12 0s8 3.5 12 0M4 20.5c4-3.5 8-3.5 12 0s8 3.5 12 0" />
          </svg>
          Sluice
        </a>
        <span class="grow" />
        <ThemeButton />
        <ConnectionIndicator />
      </header>
      <WorkerBanner />
      <ConnectionBanner />
      <StoreBanner />
      <For each={app.refusals()}>
        {(refusal) => (
          <p class="banner" data-kind="refused" data-testid="refusal" role="alert">
            The gateway does not let this page hear {refusal}
          </p>
        )}
      </For>
      <main id="main" tabindex="-1" data-live={String(app.isCurrent())}>
        <Switch>
          <Match when={route().kind === "fleet"}>
            <FleetPage />
          </Match>
          <Match when={deviceId()} keyed>
            {(id) => <DevicePage id={id} />}
          </Match>
          <Match when={route().kind === "unknown"}>
            <p class="empty">
              There is no such page. <a href={fleetHref}>Go to the fleet</a>
            </p>
          </Match>
        </Switch>
      </main>
    </>
  );
}

function idOf(route: Route): string | null {
  return route.kind === "device" ? route.id : null;
}
