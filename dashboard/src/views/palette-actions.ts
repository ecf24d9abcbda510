// What the palette offers beside devices: pages, filters, and what can be done on any of them.
import { pageKeys } from "../parts/keys";
import { advanceTheme } from "../parts/theme";
import { type PageName, type Place, pageHref } from "../router";
import type { App } from "../store/app";
import { writeFilter } from "../store/fleet-choice";
import { noFilter } from "../worker/select";

/** A line of the palette. */
export interface Item {
  readonly label: string;
  readonly hint: string;
  readonly run: () => void;
}

/** What can be done just now. */
export function actionsOf(app: App): Item[] {
  const { place, alarms } = app;
  const route = place.route();
  const state = app.state();
  const keys = Object.entries(pageKeys);
  const page = (name: PageName, label: string): Item => ({
    label,
    hint: `g ${keys.find(([, of]) => of === name)?.[0] ?? ""}`,
    run: () => place.go(pageHref(name)),
  });
  const fleet = (label: string, filter: Partial<typeof noFilter>): Item => ({
    label,
    hint: "filter",
    run: () => place.go(pageHref("fleet", writeFilter({ ...noFilter, ...filter }))),
  });
  return [
    page("fleet", "Fleet"),
    page("commands", "Commands: console and list"),
    page("alerts", "Alerts"),
    page("topics", "Topics"),
    page("gateway", "Gateway"),
    ...(route.kind === "device" ? partsOf(route.id, place) : []),
    fleet("Devices that are online", { status: "online" }),
    fleet("Devices that are offline", { status: "offline" }),
    fleet("Devices with an alert", { alert: "info" }),
    fleet("Devices with a critical alert", { alert: "critical" }),
    {
      label: app.fleet.layout() === "grid" ? "Devices as a table" : "Devices as cards",
      hint: "",
      run: () =>
        place.go(
          pageHref("fleet", { ...app.fleet.query(), view: app.fleet.layout() === "grid" ? "" : "grid" }),
        ),
    },
    {
      label: "Commands that have not ended",
      hint: "filter",
      run: () => place.go(pageHref("commands", { state: "open" })),
    },
    { label: "Search in this page", hint: "/", run: () => setTimeout(focusSearch) },
    { label: "Change the colours: auto, light, dark", hint: "", run: advanceTheme },
    {
      label: alarms.hasSound() ? "Alerts: no sound" : "Alerts: with sound",
      hint: "",
      run: () => alarms.setSound(!alarms.hasSound()),
    },
    {
      label: alarms.notices() === "on" ? "Alerts: no notification" : "Alerts: with a notification",
      hint: alarms.notices() === "blocked" ? "blocked in the browser" : "",
      run: () => void alarms.setNotices(alarms.notices() !== "on"),
    },
    { label: "Connect now", hint: "", run: () => app.client.tryNow() },
    ...(state.kind === "live" && state.user !== null
      ? [
          {
            label: "Sign out",
            hint: state.user,
            run: () => void app.api.signOut().then(() => location.reload()),
          },
        ]
      : []),
  ];
}

/** The parts of the device whose page is open. */
function partsOf(id: string, place: Place): Item[] {
  return ["live", "state", "events", "connections"].map((tab) => ({
    label: `${id}: ${tab}`,
    hint: "part",
    run: () => place.setQuery({ tab: tab === "live" ? "" : tab }),
  }));
}

function focusSearch(): void {
  document.querySelector<HTMLInputElement>("main input[type='search']")?.focus();
}
