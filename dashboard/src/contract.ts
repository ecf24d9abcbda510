// Parts of the contract whose types do not come from the crate `protocol`.

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
  /** Whether there is more than the user may see. */
  readonly narrowed: boolean;
}
