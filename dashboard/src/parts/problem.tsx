// What went wrong, in words.
import { type JSX, Show } from "solid-js";

/** The words, told at once to who listens rather than looks; nothing while all is well. */
export function Problem(props: {
  text: string | null | undefined;
  testid?: string;
  /** Stands out: what it is about is all that the page has to show. */
  notice?: boolean;
  /** What can be done about it. */
  children?: JSX.Element;
}) {
  return (
    <Show when={props.text}>
      <p class={props.notice === true ? "notice" : "problem"} role="alert" data-testid={props.testid}>
        {props.text} {props.children}
      </p>
    </Show>
  );
}

/** Says what could not be read, and why. */
export function unread(what: string, why: string | null | undefined): string | null {
  return why === null || why === undefined ? null : `${what} could not be read: ${why}.`;
}
