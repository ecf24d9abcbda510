// Everything the page can do and every device, found by typing.
import { createEffect, createMemo, createSignal, For, onMount, Show } from "solid-js";
import { pageKeys } from "../parts/keys";
import { advanceTheme } from "../parts/theme";
import { deviceHref, type PageName, pageHref } from "../router";
import { useApp } from "../store/app";
import { writeFilter } from "../store/fleet-choice";
import { noFilter } from "../worker/select";

/** Devices that are offered. */
const devicesMax = 8;

interface Item {
  readonly label: string;
  readonly hint: string;
  readonly run: () => void;
}

/** The palette, over the page; `close` ends it. */
export default function Palette(props: { close: () => void }) {
  const app = useApp();
  const [text, setText] = createSignal("");
  const [devices, setDevices] = createSignal<readonly string[]>([]);
  const [at, setAt] = createSignal(0);
  let dialog!: HTMLDialogElement;
  const actions = actionsOf(app);
  const items = createMemo(() => {
    const words = text().toLowerCase().split(/\s+/).filter(Boolean);
    const fit = actions.filter(({ label }) => words.every((word) => label.toLowerCase().includes(word)));
    const found = devices().map((id) => ({
      label: id,
      hint: "device",
      run: () => app.place.go(deviceHref(id)),
    }));
    return text() === "" ? fit : [...found, ...fit];
  });
  createEffect(() => {
    const wanted = text();
    setAt(0);
    if (wanted.trim() === "") return void setDevices([]);
    void app.client.find(wanted, devicesMax).then((ids) => {
      if (text() === wanted) setDevices(ids);
    });
  });
  onMount(() => dialog.showModal());
  const run = (item: Item | undefined) => {
    if (item === undefined) return;
    dialog.close();
    item.run();
  };
  const pressed = (event: KeyboardEvent) => {
    const count = items().length;
    if (event.key === "ArrowDown") setAt((before) => (before + 1) % Math.max(1, count));
    else if (event.key === "ArrowUp") setAt((before) => (before + count - 1) % Math.max(1, count));
    else if (event.key === "Enter") run(items()[at()]);
    else return;
    event.preventDefault();
    document.getElementById(`palette-${at()}`)?.scrollIntoView({ block: "nearest" });
  };
  return (
    <dialog
      class="over palette"
      aria-label="Search and commands"
      data-testid="palette"
      ref={dialog}
      onClose={() => props.close()}
      onPointerDown={({ target }) => {
        if (target === dialog) dialog.close();
      }}
    >
      <input
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-items"
        aria-activedescendant={items().length > 0 ? `palette-${at()}` : undefined}
        aria-label="A device, a page or an action"
        placeholder="A device, a page or an action"
        data-testid="palette-text"
        autocomplete="off"
        spellcheck={false}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
        onKeyDown={pressed}
      />
      <div id="palette-items" role="listbox" aria-label="What was found">
        <For each={items()}>
          {(item, index) => (
            <button
              type="button"
              tabindex="-1"
              id={`palette-${index()}`}
              role="option"
              aria-selected={index() === at()}
              data-testid="palette-item"
              onClick={() => run(item)}
              onPointerMove={() => setAt(index())}
            >
              <span>{item.label}</span>
              <span class="muted">{item.hint}</span>
            </button>
          )}
        </For>
      </div>
      <Show when={items().length === 0}>
        <p class="muted palette-none">Nothing is called that.</p>
      </Show>
    </dialog>
  );
}

function actionsOf(app: ReturnType<typeof useApp>): Item[] {
  const { place } = app;
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
    fleet("Devices that are offline", { status: "offline" }),
    fleet("Devices with an alert", { alert: "info" }),
    fleet("Devices with a critical alert", { alert: "critical" }),
    { label: "Search in this page", hint: "/", run: () => setTimeout(focusSearch) },
    { label: "Change the colours: auto, light, dark", hint: "", run: advanceTheme },
    {
      label: app.alarms.hasSound() ? "Alerts: no sound" : "Alerts: with sound",
      hint: "",
      run: () => app.alarms.setSound(!app.alarms.hasSound()),
    },
    { label: "Connect now", hint: "", run: () => app.client.tryNow() },
  ];
}

function focusSearch(): void {
  document.querySelector<HTMLInputElement>("main input[type='search']")?.focus();
}
