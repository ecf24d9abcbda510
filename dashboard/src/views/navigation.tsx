// The ways to the pages, each with what wants attention there.
import { createMemo, For, Show } from "solid-js";
import type { Severity } from "../generated/protocol";
import { type PageName, pageHref, type Route } from "../router";
import { useApp } from "../store/app";

const pages: readonly [name: PageName, label: string, icon: string][] = [
  ["fleet", "Fleet", "M4 5h16M4 12h16M4 19h16"],
  ["commands", "Commands", "M5 6l6 6-6 6M13 18h6"],
  ["alerts", "Alerts", "M12 4l9 16H3zM12 10v5M12 17.5v.5"],
  ["topics", "Topics", "M5 4v14h6M5 11h6M15 11h5M15 18h5"],
  ["gateway", "Gateway", "M3 13h4l3-8 4 14 3-6h4"],
];

/** Pages that belong to one in the navigation. */
const parents: Partial<Record<Route["kind"], PageName>> = {
  device: "fleet",
  command: "commands",
  batch: "commands",
};

/** The navigation; at the foot of a phone's screen. */
export function Navigation() {
  const app = useApp();
  const current = () => {
    const { kind } = app.place.route();
    return parents[kind] ?? kind;
  };
  return (
    <nav class="nav" aria-label="Pages" data-live={String(app.isCurrent())}>
      <For each={pages}>
        {([name, label, icon]) => (
          <a
            href={pageHref(name, name === "fleet" ? app.fleet.query() : {})}
            data-testid={`nav-${name}`}
            aria-current={current() === name ? "page" : undefined}
          >
            <svg viewBox="0 0 24 24" width="16" height="16" aria-hidden="true">
              <path d={icon} />
            </svg>
            {label}
            {/* The room is always there: no link moves away from under a pointer. */}
            <Show when={name === "alerts" || name === "commands"}>
              <span class="count-place">
                <Show when={name === "alerts" && app.alerts().active > 0}>
                  <Count
                    of={app.alerts().active}
                    what="active"
                    severity={app.alerts().worst}
                    testid="alert-count"
                  />
                </Show>
                <Show when={name === "commands" && (app.stats()?.commands_open ?? 0) > 0}>
                  <Count of={app.stats()?.commands_open ?? 0} what="open" />
                </Show>
              </span>
            </Show>
          </a>
        )}
      </For>
    </nav>
  );
}

/** A number whose room changes with its length alone. */
function Count(props: { of: number; what: string; severity?: Severity | null; testid?: string }) {
  const length = createMemo(() => String(props.of).length);
  return (
    <span
      class="count num values"
      data-severity={props.severity}
      data-testid={props.testid}
      style={{ "--length": length() }}
    >
      {props.of}
      <span class="sr-only"> {props.what}</span>
    </span>
  );
}
