// Asks once more before many devices are told something.
import { onMount, Show } from "solid-js";
import type { CommandRequest } from "../generated/protocol";
import { paramsText } from "../text/command";
import { devicesText, reachText } from "../text/reach";
import { formatDuration } from "../text/time";
import type { Census } from "../worker/census";

/** The question, over the page; `close` ends it, `send` is called before where the answer is yes. */
export function ConsoleConfirm(props: {
  census: Census;
  request: CommandRequest | null;
  send: () => void;
  close: () => void;
}) {
  let dialog!: HTMLDialogElement;
  onMount(() => dialog.showModal());
  const yes = () => {
    dialog.close();
    props.send();
  };
  return (
    <dialog
      class="over question"
      aria-labelledby="confirm-title"
      data-testid="console-confirm"
      ref={dialog}
      onClose={() => props.close()}
    >
      <h2 id="confirm-title">
        Send <span class="mono">{props.request?.name}</span> to {devicesText(props.census.total)}?
      </h2>
      <p class="mono muted">{paramsText(props.request?.params ?? {})}</p>
      <p data-testid="confirm-reach">
        {reachText(props.census)}.
        <Show when={props.census.offline > 0}> {waitText(props.request?.ttl_ms ?? 0)}</Show>
      </p>
      <div class="form-end">
        <button type="button" class="primary" data-testid="confirm-send" onClick={yes}>
          Send to {devicesText(props.census.total)}
        </button>
        {/* First in the focus: an Enter that is held down sends nothing. */}
        <button type="button" autofocus data-testid="confirm-not" onClick={() => dialog.close()}>
          Do not send
        </button>
      </div>
    </dialog>
  );
}

/** What becomes of commands that nobody receives; another connection may receive those of a device that is offline. */
function waitText(ttlMs: number): string {
  if (ttlMs === 0) return "What nobody receives at once will not be sent.";
  return `What nobody receives waits, for ${formatDuration(ttlMs)} at most.`;
}
