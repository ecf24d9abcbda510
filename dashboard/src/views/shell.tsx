// What stands around every page.
import { createEffect, createMemo, createSignal, For, Match, on, Show, Suspense, Switch } from "solid-js";
import { ConnectionBanner, ConnectionIndicator, StoreBanner, WorkerBanner } from "../parts/connection";
import { followKeys } from "../parts/keys";
import { lazyView } from "../parts/lazy";
import { ProgramBanner } from "../parts/program-banner";
import { ThemeButton } from "../parts/theme";
import { keepTitle } from "../parts/title";
import { pageHref, type Route } from "../router";
import { useApp } from "../store/app";
import { Chart } from "./charts-lazy";
import { FleetPage } from "./fleet";
import { Navigation } from "./navigation";
import SignIn, { createNeedsToken } from "./sign-in";

const DevicePage = lazyView(() => import("./device"));
const CommandsPage = lazyView(() => import("./commands"));
const CommandPage = lazyView(() => import("./command"));
const BatchPage = lazyView(() => import("./batch"));
const AlertsPage = lazyView(() => import("./alerts"));
const TopicsPage = lazyView(() => import("./topics"));
const GatewayPage = lazyView(() => import("./gateway"));
const Palette = lazyView(() => import("./palette"));
const later = [
  DevicePage,
  Chart,
  CommandsPage,
  CommandPage,
  BatchPage,
  AlertsPage,
  Palette,
  TopicsPage,
  GatewayPage,
];

const titles: Record<Route["kind"], string> = {
  fleet: "Fleet",
  device: "Device",
  commands: "Commands",
  command: "Command",
  batch: "Batch",
  alerts: "Alerts",
  topics: "Topics",
  gateway: "Gateway",
  unknown: "No such page",
};

/** The head with the state of the connection, and the page under it. */
export function Shell() {
  const app = useApp();
  const { route } = app.place;
  const needsToken = createNeedsToken(app);
  const [hasPalette, setPalette] = createSignal(false);
  const idOf = (kind: "device" | "command" | "batch") => {
    const shown = route();
    return shown.kind === kind ? shown.id : null;
  };
  const title = createMemo(() => {
    const { active } = app.alerts();
    const name = idOf("device") ?? titles[route().kind];
    return `${active > 0 ? `(${active}) ` : ""}${name} · Sluice`;
  });
  keepTitle(title);
  createEffect(
    on(
      () => JSON.stringify(route()),
      () => requestAnimationFrame(focusPage),
      { defer: true },
    ),
  );
  createEffect(() => {
    // Fetched while there is a gateway to fetch it from: a page may be opened when there is none.
    if (app.isLive()) for (const view of later) void view.preload();
  });
  followKeys({ openPalette: () => setPalette(true), go: (page) => app.place.go(pageHref(page)) });
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the content
      </button>
      <header class="bar">
        <a class="brand" href={pageHref("fleet")} data-testid="brand">
          <svg viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
            <path d="M4 11.5c4-3.5 8-3.5 12 0s8 3.5 12 0M4 20.5c4-3.5 8-3.5 12 0s8 3.5 12 0" />
          </svg>
          <span class="brand-name">Sluice</span>
        </a>
        <Navigation />
        <span class="grow" />
        <button
          type="button"
          class="search-button"
          data-testid="palette-open"
          onClick={() => setPalette(true)}
        >
          <span>Search</span>
          <kbd>Ctrl K</kbd>
        </button>
        <ThemeButton />
        <ConnectionIndicator />
      </header>
      <section aria-label="Notices">
        <WorkerBanner />
        <ConnectionBanner />
        <StoreBanner />
        <ProgramBanner />
        <For each={app.refusals()}>
          {(refusal) => (
            <p class="banner" data-kind="refused" data-testid="refusal" role="alert">
              The gateway does not let this page hear {refusal}
            </p>
          )}
        </For>
        <p class="sr-only announcer" role="status">
          {alarmText(app.alarms.newest())}
        </p>
      </section>
      <main id="main" tabindex="-1" data-live={String(app.isCurrent())}>
        <Suspense fallback={<p class="empty">One moment …</p>}>
          <Switch>
            <Match when={needsToken()}>
              <SignIn />
            </Match>
            <Match when={route().kind === "fleet"}>
              <FleetPage />
            </Match>
            <Match when={idOf("device")} keyed>
              {(id) => <DevicePage id={id} />}
            </Match>
            <Match when={route().kind === "commands"}>
              <CommandsPage />
            </Match>
            <Match when={idOf("command")} keyed>
              {(id) => <CommandPage id={id} />}
            </Match>
            <Match when={idOf("batch")} keyed>
              {(id) => <BatchPage id={id} />}
            </Match>
            <Match when={route().kind === "alerts"}>
              <AlertsPage />
            </Match>
            <Match when={route().kind === "topics"}>
              <TopicsPage />
            </Match>
            <Match when={route().kind === "gateway"}>
              <GatewayPage />
            </Match>
            <Match when={route().kind === "unknown"}>
              <h1 class="sr-only">No such page</h1>
              <p class="empty" data-testid="unknown-page">
                There is no such page. <a href={pageHref("fleet")}>Go to the fleet</a>
              </p>
            </Match>
          </Switch>
        </Suspense>
      </main>
      <Show when={hasPalette()}>
        <Suspense>
          <Palette close={() => setPalette(false)} />
        </Suspense>
      </Show>
    </>
  );
}

/** What had the focus went with its page: who goes on by keyboard begins at the new one, not at the head. */
function focusPage(): void {
  if (document.activeElement === document.body)
    document.getElementById("main")?.focus({ preventScroll: true });
}

function alarmText(
  alert: { severity: string; device: string; message: string; code: string } | null,
): string {
  return alert === null
    ? ""
    : `New ${alert.severity} alert of ${alert.device}: ${alert.message || alert.code}`;
}
