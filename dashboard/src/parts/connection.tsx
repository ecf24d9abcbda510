// How the connection stands: always in the corner, and in a banner when something is wrong.
import { createMemo, Index, Match, Show, Switch } from "solid-js";
import { type ConnectionState, type Health, isRefusedUser } from "../client/state";
import { useApp } from "../store/app";
import { formatRate } from "../text/number";
import { formatDateTime, formatDuration, formatSpan } from "../text/time";
import { Moment } from "./moment";
import { closeByItself } from "./popup";
import { createTicker } from "./ticker";

/** What the indicator shows: the connection's state; while it is live, whether the gateway or the page is slow. */
type Shown = ConnectionState["kind"] | "silent" | "lagging";

const labels: Record<Shown, string> = {
  connecting: "Connecting",
  live: "Live",
  recovering: "Recovering",
  offline: "Offline",
  refused: "Refused",
  silent: "No answer",
  lagging: "Lagging",
};

/** The state in the corner; it opens to show the details. */
export function ConnectionIndicator() {
  const app = useApp();
  const shown = (): Shown => {
    if (!app.isLive()) return app.state().kind;
    if (!app.isCurrent()) return "silent";
    return app.health().lagging ? "lagging" : "live";
  };
  const roundTrip = () => app.health().roundTripMs;
  return (
    <details class="link popup" data-testid="connection" data-state={shown()} ref={closeByItself}>
      <summary>
        <span class="dot" aria-hidden="true" />
        <span class="sr-only">Connection: </span>
        {isRefusedUser(app.state()) ? "Signed out" : labels[shown()]}
        <Show when={app.isCurrent() && roundTrip() !== null}>
          <span class="muted num" data-testid="round-trip">
            <span class="text-box">{roundTrip()} ms</span>
          </span>
        </Show>
      </summary>
      {/* On a small screen it scrolls, by the keyboard too. */}
      <section class="panel" aria-label="Details of the connection" tabindex="0">
        <dl class="facts">
          <Index each={connectionFacts(app.state(), app.health())}>
            {(fact) => (
              <>
                <dt>{fact()[0]}</dt>
                <dd class="num">{fact()[1]}</dd>
              </>
            )}
          </Index>
        </dl>
        <Show when={userOf(app.state())}>
          <button
            type="button"
            data-testid="sign-out"
            onClick={() => void app.api.signOut().then(() => location.reload())}
          >
            Sign out
          </button>
        </Show>
      </section>
    </details>
  );
}

/** Says what is wrong with the connection, and what can be done; nothing while all is well. */
export function ConnectionBanner() {
  const app = useApp();
  const now = createTicker(250);
  const broken = createMemo(() => {
    const state = app.state();
    return state.kind === "recovering" || state.kind === "offline" ? state : null;
  });
  /** Who has to sign in is told so by the form. */
  const refused = createMemo(() => {
    const state = app.state();
    return state.kind === "refused" && !isRefusedUser(state) ? state : null;
  });
  const silentSince = () => (app.isLive() ? app.health().silentSince : null);
  const tryNow = () => app.client.tryNow();
  return (
    <Switch>
      <Match when={broken()}>
        {(state) => (
          <div class="banner" data-kind={state().kind} data-testid="banner">
            <span role="status">{brokenText(state())}</span>
            <span class="num">
              since {formatSpan(now() - state().since)} · <AsOf at={app.lastLiveAt()} now={now()} />
            </span>
            <span class="grow" />
            <span class="num" data-testid="next-try">
              {nextTry(state().nextTryAt, now())}
            </span>
            <button
              type="button"
              data-testid="try-now"
              disabled={state().nextTryAt === null}
              onClick={tryNow}
            >
              Try now
            </button>
          </div>
        )}
      </Match>
      <Match when={refused()}>
        {(state) => (
          <div class="banner" data-kind="refused" data-testid="banner">
            <span role="status">
              The gateway refused this page: {state().reason} ({state().code}).
            </span>
            <span>
              <AsOf at={app.lastLiveAt()} now={now()} />
            </span>
            <span class="grow" />
            <button type="button" data-testid="try-now" onClick={tryNow}>
              Try again
            </button>
          </div>
        )}
      </Match>
      <Match when={silentSince()}>
        {(since) => (
          <div class="banner" data-kind="silent" data-testid="banner">
            <span role="status">The gateway does not answer: what is shown may be out of date.</span>
            <span class="num">
              since {formatSpan(now() - since())} · <AsOf at={since()} now={now()} />
            </span>
          </div>
        )}
      </Match>
      <Match when={app.isLive() && app.health().lagging}>
        <div class="banner" data-kind="lagging" data-testid="banner">
          <span role="status">
            This page is slower than the fleet: updates in between are left out, the newest values are shown.
          </span>
        </div>
      </Match>
    </Switch>
  );
}

/** Says that nothing can be shown, for what does the work behind the page does not run. */
export function WorkerBanner() {
  const app = useApp();
  return (
    <Show when={app.workerProblem()}>
      {(why) => (
        <div class="banner" data-kind="worker" data-testid="worker-banner">
          <span role="alert">
            The part of this page that talks to the gateway does not run: {why()}. What is shown is not
            current.
          </span>
          <span class="grow" />
          <button type="button" onClick={() => location.reload()}>
            Load the page again
          </button>
        </div>
      )}
    </Show>
  );
}

/** Says that what comes is not being kept, and why. */
export function StoreBanner() {
  const app = useApp();
  const failing = () => {
    const store = app.isLive() ? app.stats()?.store : undefined;
    return store?.state === "failing" ? store : null;
  };
  return (
    <Show when={failing()}>
      {(store) => (
        <div class="banner" data-kind="store" data-testid="store-banner">
          <span role="alert">
            The gateway is not keeping history: {store().error ?? "it does not say why"}. Live values are not
            affected.
          </span>
          <Show when={store().lost_updates > 0}>
            <span class="num">{formatRate(store().lost_updates)} updates lost</span>
          </Show>
        </div>
      )}
    </Show>
  );
}

function userOf(state: ConnectionState): string | null {
  return state.kind === "live" ? state.user : null;
}

type Broken = Extract<ConnectionState, { kind: "recovering" | "offline" }>;

function brokenText(state: Broken): string {
  if (state.kind === "offline") return "This computer has no network.";
  return state.why === "" ? "The connection is broken." : `The connection is broken: ${state.why}.`;
}

function nextTry(at: number | null, now: number): string {
  if (at === null) return "trying …";
  return `next try in ${Math.max(0, Math.ceil((at - now) / 1_000))} s`;
}

/** Of when what is shown is, by our own clock. */
function AsOf(props: { at: number | null; now: number }) {
  return (
    <Show when={props.at} fallback="nothing was received yet">
      {(at) => (
        <>
          values as of <Moment at={at()} now={props.now} />
        </>
      )}
    </Show>
  );
}

/** What is known of the connection, in words. */
export function connectionFacts(state: ConnectionState, health: Health): [name: string, value: string][] {
  return [
    ["State", labels[state.kind]],
    ["Since", formatDateTime(state.since)],
    ["Round trip", health.roundTripMs === null ? "not measured" : `${health.roundTripMs} ms`],
    [
      "Gateway's clock",
      `${health.clockOffsetMs >= 0 ? "+" : "−"}${formatDuration(Math.abs(health.clockOffsetMs))}`,
    ],
    ["Updates missed", String(health.missed)],
    ["Holes asked for", String(health.holes)],
    ["Updates merged", String(health.dropped)],
    ["Resets", String(health.resets)],
    ["Unreadable", String(health.unreadable)],
    ["Signed in as", userOf(state) ?? "no one (all on this machine are trusted)"],
    ["Session", state.kind === "live" ? state.session.slice(0, 8) : "none"],
  ];
}
