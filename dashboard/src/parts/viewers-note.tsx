// Says to who may only look why nothing can be sent.
import { Show } from "solid-js";
import { useApp } from "../store/app";

/** The note; nothing for all others. */
export function ViewersNote(props: { canTry?: boolean }) {
  const app = useApp();
  return (
    <Show when={app.isViewer()}>
      <p class="muted" data-testid="viewers-note">
        You are signed in as a viewer, who may look and not command
        {props.canTry === true ? ": a dry run says what would become of it." : "."}
      </p>
    </Show>
  );
}
