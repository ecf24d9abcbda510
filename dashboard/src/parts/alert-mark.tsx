// How grave something is, as a shape, a colour and a word.
import type { Severity } from "../generated/protocol";

const shapes: Record<Severity, string> = {
  info: "M8 2a6 6 0 100 12A6 6 0 008 2z",
  warning: "M8 2l6.5 12h-13z",
  critical: "M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2z",
};

/** The shape; the word is there for who cannot see it, or for all where `named`. */
export function AlertMark(props: { severity: Severity; named?: boolean }) {
  return (
    <span class="alert-mark" data-severity={props.severity} title={props.severity}>
      <svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
        <path d={shapes[props.severity]} />
      </svg>
      <span class={props.named === true ? "" : "sr-only"}>{props.severity}</span>
    </span>
  );
}
