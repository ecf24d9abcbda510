// Where the gateway wants to know who looks: a token, for which it gives a cookie that no script can read.
import { type Accessor, createEffect, createSignal, onCleanup } from "solid-js";
import { closeCodes } from "../generated/protocol";
import { Problem } from "../parts/problem";
import { type App, useApp } from "../store/app";

/** A gateway that has not greeted by then may be waiting for a token. */
const askAfterMs = 700;
const unauthorized = 401;

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
  return () => {
    const state = app.state();
    return isAsked() || (state.kind === "refused" && state.code === closeCodes.Unauthenticated);
  };
}

/** The form. */
export default function SignIn() {
  const app = useApp();
  const [isBusy, setBusy] = createSignal(false);
  const [problem, setProblem] = createSignal<string | null>(null);
  let token!: HTMLInputElement;
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
    </form>
  );
}
