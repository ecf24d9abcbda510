// What the device should be beside what it says that it is.
import { For, Show, type Signal } from "solid-js";
import { Problem } from "../parts/problem";
import { useApp } from "../store/app";
import { createShadow, type Member, type Wish } from "../store/shadow";

const standings: Record<Member["standing"], string> = {
  same: "in sync",
  differs: "differs",
  only_reported: "",
};

/** Both side by side, and the editor of what is desired. */
export function DeviceState(props: { id: string; draft: Signal<Wish | null> }) {
  const app = useApp();
  // The page lives as long as the id.
  const shadow = createShadow(app, props.id, props.draft);
  return (
    <section class="card" aria-labelledby="state-title" data-testid="device-state">
      <div class="card-title">
        <h2 id="state-title">State</h2>
        <Show when={shadow.state()}>
          {(state) => (
            <>
              <span class="chip quiet-chip num" data-testid="state-version">
                {state().version === 0 ? "nothing desired yet" : `version ${state().version}`}
              </span>
              <Show when={state().version > 0}>
                <span
                  class="badge values"
                  data-tone={state().in_sync ? "good" : "waiting"}
                  data-testid="state-sync"
                >
                  {state().in_sync ? "in sync" : "not in sync"}
                </span>
              </Show>
            </>
          )}
        </Show>
        <span class="grow" />
        <Show when={shadow.draft() === null}>
          <button
            type="button"
            data-testid="desired-edit"
            disabled={!app.canAct() || shadow.state() === null}
            onClick={shadow.begin}
          >
            Edit what is desired
          </button>
        </Show>
      </div>
      <Show when={shadow.draft()}>{(draft) => <Editor shadow={shadow} text={draft().text} />}</Show>
      <Problem text={shadow.problem()} testid="desired-problem" />
      <table class="plain dense values state-members" data-testid="state-members">
        <thead>
          <tr>
            <th scope="col">Member</th>
            <th scope="col">Desired</th>
            <th scope="col">Reported</th>
            <th scope="col">
              <span class="sr-only">Standing</span>
            </th>
          </tr>
        </thead>
        <tbody>
          <For
            each={shadow.members()}
            fallback={
              <tr>
                <td class="muted" colspan="4">
                  Nothing is desired of it, and it has reported nothing.
                </td>
              </tr>
            }
          >
            {(member) => (
              <tr data-member={member.name} data-standing={member.standing}>
                <th scope="row">{member.name}</th>
                <td class="mono">{textOf(member.desired)}</td>
                <td class="mono">{textOf(member.reported)}</td>
                <td class="standing">{standings[member.standing]}</td>
              </tr>
            )}
          </For>
        </tbody>
      </table>
    </section>
  );
}

function Editor(props: { shadow: ReturnType<typeof createShadow>; text: string }) {
  const app = useApp();
  const bad = () => {
    const read = props.shadow.understood();
    return read.kind === "bad" ? read.message : null;
  };
  return (
    <form
      class="desired-form"
      onSubmit={(event) => {
        event.preventDefault();
        void props.shadow.save();
      }}
    >
      <label>
        <span class="muted">Desired, as JSON</span>
        <textarea
          class="mono"
          rows="8"
          data-testid="desired-text"
          spellcheck={false}
          aria-invalid={bad() !== null}
          value={props.text}
          onInput={({ currentTarget }) => props.shadow.write(currentTarget.value)}
        />
      </label>
      <Show when={bad()}>{(message) => <p class="problem">{message()}</p>}</Show>
      <Show when={props.shadow.isOvertaken()}>
        <p class="notice" role="alert" data-testid="desired-overtaken">
          It is at version {props.shadow.state()?.version} now: somebody changed it while you were writing.
          What they want stands below.{" "}
          <button type="button" data-testid="desired-rebase" onClick={props.shadow.rebase}>
            Write mine over it
          </button>{" "}
          <button type="button" data-testid="desired-theirs" onClick={props.shadow.begin}>
            Begin anew from theirs
          </button>
        </p>
      </Show>
      <div class="form-end">
        <button
          type="submit"
          class="primary"
          data-testid="desired-save"
          disabled={bad() !== null || props.shadow.isSaving() || !app.canAct()}
        >
          Save
        </button>
        <button type="button" data-testid="desired-cancel" onClick={props.shadow.giveUp}>
          Cancel
        </button>
      </div>
    </form>
  );
}

function textOf(value: unknown): string {
  return value === undefined ? "" : JSON.stringify(value);
}
