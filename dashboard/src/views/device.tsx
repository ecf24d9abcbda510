// One device: where it is, what it measures, what it is told to do and to be, what it has reported.
import { createEffect, createSignal, For, Match, onCleanup, Show, Switch } from "solid-js";
import { pageHref } from "../router";
import { useApp } from "../store/app";
import { Commands, wholeSince } from "../store/commands";
import { Dates } from "../store/dates";
import type { DeviceRecord } from "../store/device";
import { History } from "../store/history";
import { onceMore } from "../store/once-more";
import type { Wish } from "../store/shadow";
import type { WatchEvent } from "../worker/messages";
import { CommandForm } from "./command-form";
import { CommandList } from "./command-list";
import { DeviceConnections } from "./device-connections";
import { DeviceEvents } from "./device-events";
import { DeviceHead } from "./device-head";
import { DeviceMeasures } from "./device-measures";
import { DeviceState } from "./device-state";

const tabs = [
  ["", "Live"],
  ["state", "State"],
  ["events", "Events"],
  ["connections", "Connections"],
] as const;

/** The page of the device `id`. */
export default function DevicePage(props: { id: string }) {
  const app = useApp();
  // A page lives as long as its id: the shell makes a new one for another device.
  const id = props.id;
  const history = new History(app.now);
  const dates = new Dates();
  const commands = new Commands();
  // It outlives a look at another part of the page.
  const draft = createSignal<Wish | null>(null);
  const [historyVersion, setHistoryVersion] = createSignal(0);
  const [problem, setProblem] = createSignal<string | null>(null);
  const [isRead, setRead] = createSignal(false);
  const [unknown, setUnknown] = createSignal<string | null>(null);
  const loadCommands = onceMore(async () => {
    const mark = commands.startLoad();
    const read = await app.api.commands(id);
    if (read.kind === "ok") commands.fill(mark, read.value.items, wholeSince(read.value));
    if (read.kind === "ok") setRead(true);
    setProblem(read.kind === "ok" ? null : read.message);
  });
  const take = (event: WatchEvent) => {
    switch (event.kind) {
      case "samples":
        return history.hear(event.samples);
      case "past":
        dates.take(event.history);
        return history.backfill(event.history);
      case "gap":
        dates.forget();
        return history.interrupt();
      case "void":
        dates.forget();
        return history.clear();
      case "command":
        return commands.hear(event.command, event.at);
      case "commandsMissed":
        return void loadCommands();
    }
  };
  const unwatch = app.watch(id, (watched) => {
    for (const event of watched.events) take(event);
    setUnknown(watched.problem);
    setHistoryVersion((version) => version + 1);
  });
  createEffect(() => {
    // While it is away nothing is known of its values: the charts show a gap.
    if (app.devices.get(id)?.read().presence.status === "offline") history.interrupt();
  });
  onCleanup(unwatch);
  return (
    <Show when={app.devices.get(id)} fallback={<UnknownDevice id={id} problem={unknown()} />}>
      {(device) => (
        <div class="device" data-testid="device-page" data-device={id}>
          <DeviceHead device={device()} />
          <div class="device-main">
            <Tabs device={device()} />
            <Switch
              fallback={
                <DeviceMeasures
                  device={device()}
                  history={history}
                  dates={dates}
                  version={historyVersion()}
                />
              }
            >
              <Match when={app.place.query().tab === "state"}>
                <DeviceState id={id} draft={draft} />
              </Match>
              <Match when={app.place.query().tab === "events"}>
                <DeviceEvents id={id} />
              </Match>
              <Match when={app.place.query().tab === "connections"}>
                <DeviceConnections id={id} />
              </Match>
            </Switch>
          </div>
          <div class="device-commands">
            <CommandForm
              device={device().id}
              type={device().read().type}
              sent={commands.all().map(({ command }) => command)}
              isOffline={device().read().presence.status === "offline"}
              created={(command) => commands.add(command)}
            />
            <CommandList
              commands={commands}
              isRead={isRead()}
              problem={problem()}
              retry={() => void loadCommands()}
            />
          </div>
        </div>
      )}
    </Show>
  );
}

/** The device's parts; which is open stands in the address. */
function Tabs(props: { device: DeviceRecord }) {
  const { place, alerts } = useApp();
  const open = () => place.query().tab ?? "";
  const active = () =>
    alerts().items.filter(({ device, state }) => device === props.device.id && state === "active").length;
  return (
    <nav class="tabs" aria-label="Parts of the device">
      <For each={tabs}>
        {([name, label]) => (
          <button
            type="button"
            data-testid={`tab-${name === "" ? "live" : name}`}
            aria-current={open() === name ? "page" : undefined}
            onClick={() => place.setQuery({ tab: name })}
          >
            {label}
            <Show when={name === "events" && active() > 0}>
              <span class="count num" data-severity={props.device.read().alert}>
                {active()}
              </span>
            </Show>
          </button>
        )}
      </For>
    </nav>
  );
}

/** Nothing is known of the device yet, or ever. */
function UnknownDevice(props: { id: string; problem: string | null }) {
  return (
    <>
      <h1 class="sr-only">Device</h1>
      <p class="empty" data-testid="unknown-device">
        {props.problem === null ? `Looking for ${props.id} …` : `${props.id}: ${props.problem}.`}{" "}
        <a href={pageHref("fleet")}>Go to the fleet</a>
      </p>
    </>
  );
}
