// Parts of the contract whose types do not come from the crate `protocol` yet.
import type { DeviceId, Timestamp } from "./generated/protocol";

/** How grave an alert is. */
export type Severity = "info" | "warning" | "critical";

/** Where an alert is in its life. */
export type AlertState = "active" | "acknowledged" | "cleared";

/** An alert, as `GET /alerts` and `alerts/{severity}/{device}` give it. */
export interface Alert {
  readonly id: string;
  readonly device: DeviceId;
  readonly severity: Severity;
  readonly code: string;
  readonly message: string;
  readonly data: unknown;
  readonly state: AlertState;
  /** How often it was raised. */
  readonly count: number;
  readonly raised_at: Timestamp;
  readonly acknowledged_at: Timestamp | null;
  readonly acknowledged_by: string | null;
  readonly cleared_at: Timestamp | null;
}

/** What a device should be and says that it is. */
export interface Desired {
  readonly version: number;
  readonly desired: Record<string, unknown>;
  readonly reported: Record<string, unknown>;
  readonly in_sync: boolean;
}

/** An MQTT message, as `topics/...` tells it. */
export interface TopicMessage {
  readonly payload: unknown;
  readonly encoding: "json" | "utf8" | "base64";
  readonly qos: number;
  readonly retain: boolean;
}

/** Who is signed in. */
export interface Session {
  readonly user: string;
  readonly role: "viewer" | "operator" | "admin";
}
