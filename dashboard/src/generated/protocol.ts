// Generated from the crate `protocol`; do not edit.

export type DeviceId = string;

export type CommandId = string;

export type AlertId = string;

export type TopicName = string;

export type TopicFilter = string;

export type Actor = string;

export type Timestamp = number;

export type Millis = number;

export type Seq = number;

export type Offset = number;

/**
 * A client's own mark on a request; comes back on the reply.
 */
export type RequestId = number | string;

/**
 * What a client asks.
 */
export type ClientMessage = { "type": "hello", 
/**
 * The token; not needed where everybody local is trusted.
 */
token?: string, } | { "type": "subscribe", 
/**
 * Filters with MQTT's wildcards.
 */
channels: Array<TopicFilter>, 
/**
 * How.
 */
options: SubscribeOptions, } | { "type": "unsubscribe", 
/**
 * Filters as they were subscribed.
 */
channels: Array<TopicFilter>, } | { "type": "replay", 
/**
 * The channel.
 */
channel: TopicName, 
/**
 * The first.
 */
from: Seq, 
/**
 * The last.
 */
to: Seq, } | { "type": "command", 
/**
 * The device.
 */
device: DeviceId, 
/**
 * What to do, in the device's own words; 1-128 bytes.
 */
name: string, 
/**
 * The arguments, an object of at most 100 levels; none means `{}`.
 */
params?: Record<string, unknown>, 
/**
 * How long it may wait to be sent (60,000 unless told), at most 30 days; 0: now or never.
 */
ttl_ms?: Millis, 
/**
 * How long the device may take once it is sent (30,000 unless told), 1 ms to 30 days.
 */
timeout_ms?: Millis, 
/**
 * Not to be sent before this.
 */
not_before?: Timestamp, 
/**
 * Higher goes first; 0 unless told.
 */
priority?: number, 
/**
 * Takes the place of a queued command of the device with the same text; 1-128 bytes.
 */
supersede?: string, 
/**
 * May be sent again after the device has it: running twice does no harm.
 */
idempotent?: boolean, 
/**
 * `started` and `progress` renew the device's time.
 */
progress_extends?: boolean, 
/**
 * Only say what would happen; over HTTP.
 */
dry_run?: boolean, 
/**
 * A condition on what the device says after success: whether it holds is `verified`.
 */
expect?: Expect, } | { "type": "cancel", 
/**
 * Its id.
 */
command: CommandId, } | { "type": "ping", };

/**
 * How updates of a subscription come.
 */
export type SubscribeOptions = { 
/**
 * All updates or the newest values; `every` unless told.
 */
mode?: Mode, 
/**
 * At most this many updates a second for each channel; above 0, at most 1,000.
 */
throttle?: number, 
/**
 * Only these metrics, 1 to 256; an update without any of them is not sent.
 */
fields?: Array<string>, 
/**
 * Whether the value of each channel comes first; true unless told or resumed with `since`.
 */
snapshot?: boolean, 
/**
 * What of the past comes first.
 */
history?: HistoryRequest, 
/**
 * Everything after this comes first, then what is live, without a hole or a repeat.
 */
since?: Cursor, };

/**
 * All updates or the newest values.
 */
export type Mode = "every" | "latest";

/**
 * What of the past comes before the live updates.
 */
export type HistoryRequest = { 
/**
 * How many of each channel; 1 to 10,000.
 */
last: number, } | { 
/**
 * The time.
 */
since: Timestamp, 
/**
 * At most so many values of each metric, 1 to 10,000: downsampled if there are more.
 */
points: number, };

/**
 * A point in the gateway's order of updates, to resume from.
 */
export type Cursor = { 
/**
 * What the number belongs to.
 */
epoch: string, 
/**
 * The last update that was seen.
 */
offset: Offset, };

/**
 * One message of the array in a frame that the gateway sends.
 */
export type ServerMessage = Update | Reply;

/**
 * An update of a channel.
 */
export type Update = { 
/**
 * The channel.
 */
channel: TopicName, 
/**
 * Its number in the channel.
 */
seq: Seq, 
/**
 * Its number in the gateway.
 */
offset: Offset, 
/**
 * The device's own time where it gave one, else that of the arrival.
 */
timestamp: Timestamp, 
/**
 * What the channel says.
 */
data: unknown, 
/**
 * The channel's value, not an update of it.
 */
snapshot?: boolean, 
/**
 * Sent again on request.
 */
replayed?: boolean, };

/**
 * Everything the gateway says that is not an update.
 */
export type Reply = { "type": "welcome", 
/**
 * The mark of the hello that it answers; it comes unasked where none is needed.
 */
id?: RequestId, 
/**
 * The connection's own name, for logs.
 */
session: string, 
/**
 * What the numbers belong to.
 */
epoch: string, 
/**
 * The newest offset.
 */
offset: Offset, 
/**
 * The gateway's clock.
 */
server_time: Timestamp, 
/**
 * How often the gateway pings.
 */
ping_interval_ms: Millis, 
/**
 * Who is signed in; null where nobody needs to.
 */
user?: string | null, 
/**
 * What is allowed.
 */
limits: Limits, } | { "type": "subscribed", 
/**
 * The request's mark.
 */
id?: RequestId, 
/**
 * What was granted.
 */
channels: Array<TopicFilter>, } | { "type": "unsubscribed", 
/**
 * The request's mark.
 */
id?: RequestId, 
/**
 * What was given up.
 */
channels: Array<TopicFilter>, } | { "type": "history" } & History | { "type": "live", 
/**
 * The mark of the subscribe.
 */
id?: RequestId, 
/**
 * The newest offset.
 */
offset: Offset, } | { "type": "reset", 
/**
 * Names, or the filter where it concerns all of it.
 */
channels: Array<TopicFilter>, 
/**
 * The epoch now.
 */
epoch: string, 
/**
 * The newest offset.
 */
offset: Offset, 
/**
 * Why.
 */
reason: ResetReason, } | { "type": "lag", 
/**
 * Whether telemetry is conflated from here on.
 */
on: boolean, 
/**
 * How many updates conflation swallowed since it was last told.
 */
dropped: number, } | { "type": "ok", 
/**
 * The request's mark.
 */
id?: RequestId, 
/**
 * The command with its story, where one was made or cancelled.
 */
command?: CommandDetails, } | { "type": "error", 
/**
 * The request's mark.
 */
id?: RequestId, 
/**
 * For programs; stable.
 */
code: string, 
/**
 * For people: the value and the way out.
 */
message: string, } | { "type": "pong", 
/**
 * The request's mark.
 */
id?: RequestId, 
/**
 * The gateway's clock.
 */
server_time: Timestamp, };

/**
 * What a channel's metrics were, in columns of equal length.
 */
export type History = { 
/**
 * The channel.
 */
channel: TopicName, 
/**
 * The beginning of the time it covers.
 */
from: Timestamp, 
/**
 * Its end, itself not covered.
 */
to: Timestamp, 
/**
 * How long a bucket is; null: the values are as they came.
 */
bucket_ms: Millis | null, 
/**
 * When each value was, or each bucket began.
 */
timestamps: Array<Timestamp>, 
/**
 * The columns, by metric.
 */
metrics: { [key in string]: HistoryColumn }, };

/**
 * One metric; null where there is no value.
 */
export type HistoryColumn = { 
/**
 * A value for each time.
 */
values: unknown[], } | { 
/**
 * The least number of each bucket.
 */
min: Array<number | null>, 
/**
 * The greatest.
 */
max: Array<number | null>, 
/**
 * The last value.
 */
last: unknown[], };

/**
 * Why continuity is lost.
 */
export type ResetReason = "epoch" | "expired" | "overflow" | "crash";

/**
 * What a WebSocket connection may do.
 */
export type Limits = { 
/**
 * The longest message a client may send, in bytes.
 */
message_bytes: number, 
/**
 * The most filters a connection may subscribe.
 */
subscriptions: number, 
/**
 * The most messages a client may send in a second.
 */
messages_per_s: number, };

/**
 * A command as everybody sees it, in lists and on `commands/{device}`.
 */
export type Command = { 
/**
 * Its id, given by the gateway.
 */
id: CommandId, 
/**
 * The device it is for.
 */
device: DeviceId, 
/**
 * What to do, in the device's own words.
 */
name: string, 
/**
 * The arguments, an object.
 */
params: Record<string, unknown>, 
/**
 * Where it is in its life.
 */
state: CommandState, 
/**
 * How often it was sent.
 */
attempt: number, 
/**
 * Higher goes first; 0 unless told.
 */
priority: number, 
/**
 * The last progress the device reported, 0 to 100.
 */
progress: number | null, 
/**
 * What the device returned.
 */
result: unknown, 
/**
 * Why it failed or was rejected.
 */
error: AnswerError | null, 
/**
 * Whether the final answer came after `finish_by`.
 */
late: boolean, 
/**
 * When it was accepted.
 */
created_at: Timestamp, 
/**
 * Who asked for it; `local` where nobody needs to sign in.
 */
created_by: string | null, 
/**
 * Not sent before this.
 */
not_before: Timestamp | null, 
/**
 * Expired if it is not sent by then.
 */
deliver_by: Timestamp, 
/**
 * Timed out if it is not finished by then; null until it is sent.
 */
finish_by: Timestamp | null, 
/**
 * The batch it belongs to.
 */
batch: string | null, 
/**
 * Whether what was expected of it was seen; null where nothing was, or not yet.
 */
verified: boolean | null, };

/**
 * A command with its story, as it is wherever it stands alone: not in lists and channels.
 */
export type CommandDetails = { 
/**
 * Each step it took, oldest first.
 */
transitions: Array<Transition>, 
/**
 * Its id, given by the gateway.
 */
id: CommandId, 
/**
 * The device it is for.
 */
device: DeviceId, 
/**
 * What to do, in the device's own words.
 */
name: string, 
/**
 * The arguments, an object.
 */
params: Record<string, unknown>, 
/**
 * Where it is in its life.
 */
state: CommandState, 
/**
 * How often it was sent.
 */
attempt: number, 
/**
 * Higher goes first; 0 unless told.
 */
priority: number, 
/**
 * The last progress the device reported, 0 to 100.
 */
progress: number | null, 
/**
 * What the device returned.
 */
result: unknown, 
/**
 * Why it failed or was rejected.
 */
error: AnswerError | null, 
/**
 * Whether the final answer came after `finish_by`.
 */
late: boolean, 
/**
 * When it was accepted.
 */
created_at: Timestamp, 
/**
 * Who asked for it; `local` where nobody needs to sign in.
 */
created_by: string | null, 
/**
 * Not sent before this.
 */
not_before: Timestamp | null, 
/**
 * Expired if it is not sent by then.
 */
deliver_by: Timestamp, 
/**
 * Timed out if it is not finished by then; null until it is sent.
 */
finish_by: Timestamp | null, 
/**
 * The batch it belongs to.
 */
batch: string | null, 
/**
 * Whether what was expected of it was seen; null where nothing was, or not yet.
 */
verified: boolean | null, };

/**
 * What is asked for: the body of `POST /devices/{id}/commands`, and of a `command` message.
 */
export type CommandRequest = { 
/**
 * What to do, in the device's own words; 1-128 bytes.
 */
name: string, 
/**
 * The arguments, an object of at most 100 levels; none means `{}`.
 */
params?: Record<string, unknown>, 
/**
 * How long it may wait to be sent (60,000 unless told), at most 30 days; 0: now or never.
 */
ttl_ms?: Millis, 
/**
 * How long the device may take once it is sent (30,000 unless told), 1 ms to 30 days.
 */
timeout_ms?: Millis, 
/**
 * Not to be sent before this.
 */
not_before?: Timestamp, 
/**
 * Higher goes first; 0 unless told.
 */
priority?: number, 
/**
 * Takes the place of a queued command of the device with the same text; 1-128 bytes.
 */
supersede?: string, 
/**
 * May be sent again after the device has it: running twice does no harm.
 */
idempotent?: boolean, 
/**
 * `started` and `progress` renew the device's time.
 */
progress_extends?: boolean, 
/**
 * Only say what would happen; over HTTP.
 */
dry_run?: boolean, 
/**
 * A condition on what the device says after success: whether it holds is `verified`.
 */
expect?: Expect, };

/**
 * Where a command is in its life; section 4 of the contract draws the ways between them.
 */
export type CommandState = "scheduled" | "queued" | "sent" | "delivered" | "started" | "cancelling" | "succeeded" | "failed" | "rejected" | "cancelled" | "superseded" | "expired" | "timed_out";

/**
 * A condition on the telemetry or on the reported state that follows success.
 */
export type Expect = { 
/**
 * The metric it is about, 1-128 bytes; or `state`.
 */
metric?: string, 
/**
 * The member of the reported state it is about, 1-128 bytes; or `metric`.
 */
state?: string, 
/**
 * How the two compare.
 */
op: Operator, 
/**
 * What it is compared with, of at most 100 levels; a number where `op` is one of order.
 */
value: unknown, 
/**
 * How long after success it may take (30,000 unless told), 1 ms to 30 days.
 */
within_ms?: Millis, };

/**
 * How two values compare.
 */
export type Operator = "==" | "!=" | "<" | "<=" | ">" | ">=";

/**
 * What would become of a command: the answer to `dry_run`.
 */
export type DryRun = { 
/**
 * Whether it would be accepted.
 */
valid: boolean, 
/**
 * Why it would not, one text for each mistake.
 */
errors: Array<string>, 
/**
 * Whether the device could receive it now.
 */
receiver: Status, 
/**
 * How many commands of the device would go before it.
 */
position: number, 
/**
 * When it would expire unsent.
 */
deliver_by: Timestamp, 
/**
 * Who asks; `local` where nobody needs to sign in.
 */
user: string, 
/**
 * Whether this user may command the device.
 */
allowed: boolean, };

/**
 * One step in a command's life.
 */
export type Transition = { 
/**
 * The state it came to; the same as before for a note.
 */
state: CommandState, 
/**
 * When.
 */
at: Timestamp, 
/**
 * Who made it so.
 */
by: Actor, 
/**
 * Why, for a person.
 */
reason: string | null, };

/**
 * Why a device failed or refused.
 */
export type AnswerError = { 
/**
 * For programs.
 */
code: string, 
/**
 * For people.
 */
message: string, };

/**
 * A batch as `GET /command-batches/{id}` and `batches/{batch}` give it.
 */
export type Batch = { 
/**
 * Its id, given by the gateway.
 */
id: string, 
/**
 * Where it is in its life.
 */
state: BatchState, 
/**
 * How many rows it has: one for each device.
 */
total: number, 
/**
 * How many of them are in which state; states without any are left out. What is not yet sent
 * counts as `queued`.
 */
counts: { [state in CommandState]?: number }, };

/**
 * The body of `POST /command-batches`: exactly one of `devices`, `type` and `tag` names the devices.
 */
export type BatchRequest = { 
/**
 * These devices.
 */
devices?: Array<DeviceId>, 
/**
 * All devices of this type.
 */
type?: string, 
/**
 * All devices with this label: `name`, or `name:value`.
 */
tag?: string, 
/**
 * What each is asked to do.
 */
command: CommandRequest, 
/**
 * How many may be under way at a time; all of them unless told.
 */
concurrency?: number, 
/**
 * How many may begin in a second; above 0, at most 10,000.
 */
rate?: number, 
/**
 * After how many failures the rest is given up.
 */
abort_after?: AbortAfter, 
/**
 * For the commands of one device only: `true` is refused, so that nobody who means to try out commands a fleet.
 */
dry_run?: boolean, };

/**
 * Where a batch is in its life.
 */
export type BatchState = "running" | "paused" | "done" | "aborted" | "cancelled";

/**
 * When a batch is given up: as soon as so many rows have failed, were rejected, timed out or expired.
 */
export type AbortAfter = { "failures": number } | { "percent": number };

/**
 * A type of devices, as `GET /device-types` gives it and as a file of `types.dir` describes it.
 */
export type DeviceType = { 
/**
 * Its name: the `type` of the devices it is about.
 */
type: string, 
/**
 * Its name for people.
 */
title: string | null, 
/**
 * How many commands of one device may be sent and not ended; 1 keeps their order.
 */
max_inflight: number, 
/**
 * The commands it takes, by name. A command that is not among them is passed on unchecked.
 */
commands: { [key in string]: CommandType }, };

/**
 * A command of a type of devices.
 */
export type CommandType = { 
/**
 * Its name for people.
 */
title: string | null, 
/**
 * What it does, for people.
 */
description: string | null, 
/**
 * The JSON Schema (draft 2020-12) of its parameters: what `params` is checked against.
 */
params: Record<string, unknown>, };

/**
 * The data of `presence/{device}`.
 */
export type Presence = { 
/**
 * Whether it is there.
 */
status: Status, 
/**
 * Since when it has this status.
 */
since: Timestamp, 
/**
 * What made it so.
 */
reason: PresenceReason, 
/**
 * Its network address, while it has a connection of its own.
 */
address: string | null, 
/**
 * `mqtt3.1.1` or `mqtt5`, while it has a connection of its own.
 */
protocol: string | null, 
/**
 * The node that holds its connection.
 */
node: string, };

/**
 * Whether a device is there.
 */
export type Status = "online" | "offline";

/**
 * What made a device online or offline.
 */
export type PresenceReason = "connected" | "disconnected" | "connection_lost" | "keep_alive" | "taken_over" | "kicked" | "shutdown" | "heard" | "silent";

/**
 * A device as `GET /devices` gives it.
 */
export type Device = { 
/**
 * Its id.
 */
id: DeviceId, 
/**
 * Its type, where it was told.
 */
type: string | null, 
/**
 * Labels given to it.
 */
tags: { [key in string]: string }, 
/**
 * Whether it is there.
 */
status: Status, 
/**
 * Since when it has this status.
 */
since: Timestamp, 
/**
 * When it last said something, or its own connection began or ended; null where it never did.
 */
last_seen_at: Timestamp | null, 
/**
 * The newest value of each metric.
 */
values: Record<string, unknown>, 
/**
 * Counts the changes of its type and tags.
 */
version: number, };

/**
 * What is desired of a device beside what it reports: the data of `state/{device}`, and the answer of
 * `GET|PUT /devices/{id}/desired`.
 */
export type DeviceState = { 
/**
 * What the device says it is, an object; empty until it said something.
 */
reported: Record<string, unknown>, 
/**
 * What it is wanted to be, an object; empty until somebody wanted something.
 */
desired: Record<string, unknown>, 
/**
 * Counts the changes of `desired`; 0: there was none.
 */
version: number, 
/**
 * Each member of `desired` is equal in `reported`.
 */
in_sync: boolean, };

/**
 * An alert, in lists and on `alerts/{severity}/{device}`. There is one of a device, severity and code
 * that is not cleared.
 */
export type Alert = { 
/**
 * Its id, given by the gateway.
 */
id: AlertId, 
/**
 * The device it is about.
 */
device: DeviceId, 
/**
 * How bad it is.
 */
severity: Severity, 
/**
 * What it is, for programs.
 */
code: string, 
/**
 * What it is, for people; of the newest time it was raised.
 */
message: string, 
/**
 * More about it, an object; of the newest time it was raised.
 */
data: Record<string, unknown>, 
/**
 * Whether it still matters.
 */
state: AlertState, 
/**
 * How often it was raised.
 */
count: number, 
/**
 * When it was first raised.
 */
raised_at: Timestamp, 
/**
 * When somebody said that they know.
 */
acknowledged_at: Timestamp | null, 
/**
 * Who.
 */
acknowledged_by: string | null, 
/**
 * When its cause was gone.
 */
cleared_at: Timestamp | null, 
/**
 * Who cleared it: `user:NAME`, `device`, `timer` or `gateway`.
 */
cleared_by: Actor | null, };

/**
 * Whether an alert still matters.
 */
export type AlertState = "active" | "acknowledged" | "cleared";

/**
 * How bad it is.
 */
export type Severity = "info" | "warning" | "critical";

/**
 * One entry of the audit log.
 */
export type AuditEntry = { 
/**
 * Its number: 1, 2, 3 … without a hole; the oldest are let go.
 */
number: number, 
/**
 * When.
 */
at: Timestamp, 
/**
 * What kind of party did it.
 */
by: AuditParty, 
/**
 * The user's name; null where it was no user.
 */
user: string | null, 
/**
 * The network address it was asked from; null where it was not asked over the network.
 */
address: string | null, 
/**
 * What was done, such as `command.created`.
 */
action: string, 
/**
 * The device it was done to; null where it was none.
 */
device: DeviceId | null, 
/**
 * More about it, an object; what is in it depends on the action.
 */
details: Record<string, unknown>, 
/**
 * The hash of the entry before; 64 zeros before the first.
 */
previous: string, 
/**
 * The hash of this entry.
 */
hash: string, };

/**
 * What kind of party did something.
 */
export type AuditParty = "user" | "device" | "timer" | "gateway";

/**
 * One page of a list.
 */
export type Page<T> = { 
/**
 * The rows.
 */
items: Array<T>, 
/**
 * Where the next page starts: the `cursor` to ask for; null on the last.
 */
next: string | null, };

/**
 * An error, as `application/problem+json` (RFC 9457).
 */
export type Problem = { 
/**
 * The status code again.
 */
status: number, 
/**
 * The status code in words.
 */
title: string, 
/**
 * What is wrong, with the value and the way out.
 */
detail: string, 
/**
 * For programs; stable.
 */
code: string, };

/**
 * The data of `gateway/stats`, once a second. Rates are of the last second.
 */
export type GatewayStats = { 
/**
 * The gateway's version.
 */
version: string, 
/**
 * Time since it started.
 */
uptime_ms: Millis, 
/**
 * Devices that are online.
 */
devices_online: number, 
/**
 * Devices that are known.
 */
devices_known: number, 
/**
 * MQTT connections, devices' and others'.
 */
mqtt_connections: number, 
/**
 * WebSocket connections.
 */
websocket_connections: number, 
/**
 * PUBLISH packets received a second.
 */
messages_in_per_s: number, 
/**
 * Updates given to WebSocket connections a second.
 */
deliveries_per_s: number, 
/**
 * Payloads that did not decode, since the start.
 */
undecodable_payloads: number, 
/**
 * Updates that slow consumers lost to conflation, since the start.
 */
dropped_updates: number, 
/**
 * Connections that lag now.
 */
lagging_connections: number, 
/**
 * Commands that have not ended.
 */
commands_open: number, 
/**
 * Alerts that are not cleared.
 */
alerts: AlertFigures, 
/**
 * What commands came to since the start.
 */
commands: CommandFigures, 
/**
 * Resident memory of the process in bytes; 0 where the system does not tell.
 */
memory_bytes: number, 
/**
 * How the store is.
 */
store: StoreFigures, };

/**
 * How many alerts are not cleared; part of `gateway/stats`.
 */
export type AlertFigures = { 
/**
 * Alerts that nobody acknowledged yet.
 */
active: number, 
/**
 * Alerts that somebody knows of.
 */
acknowledged: number, 
/**
 * Of both, those that are info.
 */
info: number, 
/**
 * Of both, those that are warnings.
 */
warning: number, 
/**
 * Of both, those that are critical.
 */
critical: number, };

/**
 * What commands came to since the start.
 */
export type CommandFigures = { 
/**
 * Accepted.
 */
created: number, 
/**
 * Sent, each attempt.
 */
sent: number, 
/**
 * Ended as succeeded.
 */
succeeded: number, 
/**
 * Ended as failed.
 */
failed: number, 
/**
 * Ended as rejected.
 */
rejected: number, 
/**
 * Ended as timed out; some of them were settled late.
 */
timed_out: number, 
/**
 * Ended as expired.
 */
expired: number, 
/**
 * Ended as cancelled.
 */
cancelled: number, 
/**
 * Ended as superseded.
 */
superseded: number, 
/**
 * Settled by an answer after they had timed out.
 */
late: number, 
/**
 * Batches that have not ended.
 */
batches_open: number, };

/**
 * How the store is.
 */
export type StoreFigures = { 
/**
 * Whether it keeps what it is given.
 */
state: StoreState, 
/**
 * Why it does not; null while it does.
 */
error: string | null, 
/**
 * Updates that wait to be stored.
 */
pending_updates: number, 
/**
 * Updates that could not be kept, since the start: history has a hole there.
 */
lost_updates: number, 
/**
 * Bytes of the database.
 */
bytes: number, };

/**
 * Whether the store keeps what it is given.
 */
export type StoreState = "ok" | "failing";

/** Close codes of the WebSocket: name to number. */
export const closeCodes = {
  Unauthenticated: 4001,
  Forbidden: 4003,
  Malformed: 4004,
  OverLimit: 4005,
  ShuttingDown: 4100,
  TooSlow: 4108,
  NoPong: 4112,
  TooManyMessages: 4113,
  Moved: 4201,
  MessageTooBig: 1009,
} as const;
