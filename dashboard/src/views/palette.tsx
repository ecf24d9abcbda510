// Everything the page can do and every device, found by typing.
import { createEffect, createMemo, createSignal, For, onMount, Show } from "solid-js";
import { deviceHref, pageHref } from "../router";
import { useApp } from "../store/app";
import { actionsOf, type Item } from "./palette-actions";

/** Devices that are offered. */
const devicesMax = 8;

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
    if (text() === "") return fit;
    const goTo = (label: string, hint: string, href: string) => ({
      label,
      hint,
      run: () => app.place.go(href),
    });
    const found = devices().map((id) => goTo(id, "device", deviceHref(id)));
    const told = devices()
      .slice(0, 1)
      .map((id) =>
        goTo(`Send a command to ${id}`, "console", pageHref("commands", { to: "device", device: id })),
      );
    return [...found, ...told, ...fit];
  });
  /** Who types fast presses Enter before the devices are found, and means the first of them. */
  let finding: Promise<void> = Promise.resolve();
  createEffect(() => {
    const wanted = text();
    setAt(0);
    if (wanted.trim() === "") return void setDevices([]);
    finding = app.client.find(wanted, devicesMax).then((ids) => {
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
    else if (event.key === "Enter") void finding.then(() => run(items()[at()]));
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
