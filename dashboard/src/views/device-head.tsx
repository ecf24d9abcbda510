// Who the device is and where.
import { Index, Show } from "solid-js";
import { PresenceMark, reasonTexts } from "../parts/presence";
import { pageHref } from "../router";
import { useApp } from "../store/app";
import type { DeviceRecord } from "../store/device";
import { formatAgo, formatMoment } from "../text/time";
import { seenText, seenTitle } from "./fleet-row";

/** Id, type, tags, presence and what is known of the connection. */
export function DeviceHead(props: { device: DeviceRecord }) {
  const app = useApp();
  const device = () => props.device.read();
  const presence = () => device().presence;
  return (
    <section class="device-head" aria-label="Device">
      <a class="back" href={pageHref("fleet", app.fleet.query())} data-testid="back">
        ← Fleet
      </a>
      <div class="device-name">
        <h1>{props.device.id}</h1>
        <Show when={device().type}>{(type) => <span class="chip">{type()}</span>}</Show>
        <Index each={Object.entries(device().tags)}>
          {(tag) => (
            <span class="chip quiet-chip">
              {tag()[0]}: {tag()[1]}
            </span>
          )}
        </Index>
      </div>
      <dl class="strip values">
        <div data-testid="presence">
          <dt>Presence</dt>
          <dd>
            <PresenceMark status={presence().status} />
          </dd>
        </div>
        <Show when={presence().since}>
          {(since) => (
            <div>
              <dt>Since</dt>
              <dd class="num" title={formatMoment(since())}>
                {formatAgo(app.now() - since())}
              </dd>
            </div>
          )}
        </Show>
        <Show when={presence().reason}>
          {(reason) => (
            <div>
              <dt>Because</dt>
              <dd>{reasonTexts[reason()]}</dd>
            </div>
          )}
        </Show>
        <div data-testid="last-seen">
          <dt>Last seen</dt>
          <dd class="num" title={seenTitle(device().lastSeenAt)}>
            {seenText(device().lastSeenAt, app.now())}
          </dd>
        </div>
        <Fact name="Protocol" value={presence().protocol} />
        <Fact name="Address" value={presence().address} />
        <Fact name="Node" value={presence().node} />
      </dl>
    </section>
  );
}

function Fact(props: { name: string; value: string | null }) {
  return (
    <Show when={props.value}>
      {(value) => (
        <div>
          <dt>{props.name}</dt>
          <dd class="num">{value()}</dd>
        </div>
      )}
    </Show>
  );
}
