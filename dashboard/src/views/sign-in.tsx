// Where the gateway wants to know who looks: a token, for which it gives a cookie that no script can read.
import { type Accessor, createEffect, createSignal, onCleanup, onMount, Show } from "solid-js";
import { isRefusedUser } from "../client/state";
import { closeCodes } from "../generated/protocol";
import { Problem } from "../parts/problem";
import { type App, useApp } from "../store/app";

/** A gateway that has not greeted by then may be waiting for a token. */
const askAfterMs = 700;
const unauthorized = 401;

/** Why a page that was let in is not any more, and whether its token is still worth something. */
interface Ended {
  readonly why: string;
  readonly mayGoOn: boolean;
}

const revoked: Ended = {
  why: "The gateway ended this session: its token was revoked or has expired, or one is needed now.",
  mayGoOn: false,
};
const narrowed: Ended = {
  why: "The gateway ended this session: what its token allows has changed.",
  mayGoOn: true,
};

/** Whether the gateway wants a token that this page has not got. */
export function createNeedsToken(app: App): Accessor<boolean> {
  const [isAsked, setAsked] = createSignal(false);
  createEffect(() => {
    const state = app.state();
    if (state.kind === "live") setAsked(false);
    if (state.kind !== "connecting") return;
    const timer = setTimeout(async () => {
      const read = await app.api.commandPage({}, null, 1);
      setAsked(read.kind === "failed" && read.status === unauthorized);
    }, askAfterMs);
    onCleanup(() => clearTimeout(timer));
  });
  return () => isAsked() || isRefusedUser(app.state());
}

function endOf(app: App): Ended | null {
  const state = app.state();
  if (state.kind !== "refused") return null;
  if (state.code === closeCodes.Forbidden) return narrowed;
  return app.lastLiveAt() === null ? null : revoked;
}

/** The form. */
export default function SignIn() {
  const app = useApp();
  const [isBusy, setBusy] = createSignal(false);
  const [problem, setProblem] = createSignal<string | null>(null);
  let token!: HTMLInputElement;
  onMount(() => token.focus());
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    const read = await app.api.signIn(token.value.trim());
    // From the beginning, with the cookie: nothing of what was refused before stays.
    if (read.kind === "ok") return location.reload();
    setBusy(false);
    setProblem(
      read.status === unauthorized ? "The gateway does not know this token, or it has ended." : read.message,
    );
    token.select();
  };
  return (
    <form class="card sign-in" data-testid="sign-in" onSubmit={(event) => void send(event)}>
      <h1>Sign in</h1>
      <Show when={endOf(app)}>
        {(end) => (
          <p class="notice" role="alert" data-testid="sign-in-why">
            {end().why}
          </p>
        )}
      </Show>
      <p class="muted">
        This gateway shows itself to those with a token. <code>sluice-gateway token create</code> makes one.
      </p>
      <div class="field">
        <label for="sign-in-token">Token</label>
        <input
          id="sign-in-token"
          type="password"
          class="mono"
          required
          autocomplete="current-password"
          data-testid="sign-in-token"
          ref={token}
        />
      </div>
      <Problem text={problem()} testid="sign-in-problem" />
      <button type="submit" class="primary" data-testid="sign-in-send" disabled={isBusy()}>
        {isBusy() ? "Signing in …" : "Sign in"}
      </button>
      <Show when={endOf(app)?.mayGoOn}>
        {/* From the beginning too: what the token does not allow any more is not to stay on the page. */}
        <button type="button" data-testid="sign-in-go-on" onClick={() => location.reload()}>
          Go on with the same token
        </button>
      </Show>
    </form>
  );
}
