// One command in a list of many.
import { Show } from "solid-js";
import { Moment } from "../parts/moment";
import { commandHref, deviceHref } from "../router";
import { useApp } from "../store/app";
import type { CommandRecord } from "../store/commands";
import { describeCommand, paramsText, stateTexts } from "../text/command";

/** The row; `withDevice` where the list is of several. */
export function CommandRow(props: { record: CommandRecord }) {
  const app = useApp();
  const command = () => props.record.read().command;
  const text = () => stateTexts[command().state];
  return (
    <tr
      data-testid="command-row"
      data-command={props.record.command.id}
      data-device={props.record.command.device}
      data-state={command().state}
    >
      <td class="state-cell">
        <span class="badge" data-tone={text().tone}>
          {text().label}
        </span>
        <Show when={command().progress !== null && !text().isFinal}>
          <span class="muted num"> {command().progress} %</span>
        </Show>
      </td>
      <td class="mono">
        <a href={commandHref(props.record.command.id)} title={command().name}>
          {command().name}
        </a>{" "}
        <span class="muted">{paramsText(command().params)}</span>
      </td>
      <td>
        <a href={deviceHref(props.record.command.device)} title={props.record.command.device}>
          {props.record.command.device}
        </a>
      </td>
      <td class="muted wide-only">{command().error?.message ?? describeCommand(command(), app.now())}</td>
      <td class="muted">
        <Moment at={command().created_at} now={app.now()} />
      </td>
    </tr>
  );
}
