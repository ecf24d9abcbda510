// One device that the page shows.
import type { DeviceId, Severity } from "../generated/protocol";
import type { DevicePatch, MetricPatch } from "../worker/messages";
import { unknownWhereabouts, type Whereabouts } from "../worker/whereabouts";
import { Watched } from "./watched";

/** How many digits after the point a metric is shown with. */
export interface Digits {
  of(metric: string): number;
}

/** A device. Its fields change in place; read them through `read`, which makes the reader follow them. */
export class DeviceRecord extends Watched {
  readonly id: DeviceId;
  /** Whether the list has told of it; until then type and tags are not known. */
  isListed = false;
  type: string | null = null;
  tags: Record<string, string> = {};
  presence: Whereabouts = unknownWhereabouts;
  lastSeenAt: number | null = null;
  alert: Severity | null = null;
  readonly metrics = new Map<string, MetricPatch>();
  /** How to show its metrics. */
  readonly digits: Digits;

  constructor(id: DeviceId, digits: Digits) {
    super();
    this.id = id;
    this.digits = digits;
  }

  /** Takes what has changed, and tells the readers. */
  patch({ metrics, isWhole, isListed, type, tags, presence, lastSeenAt, alert }: DevicePatch): void {
    if (isWhole) this.metrics.clear();
    for (const metric of metrics) this.metrics.set(metric.name, metric);
    Object.assign(this, { isListed, type, tags, presence, lastSeenAt, alert });
    this.tell();
  }
}
