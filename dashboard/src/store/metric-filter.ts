// Which metrics of a device its values, charts and samples are of: those whose names contain a text of the address.
import { type Accessor, createMemo } from "solid-js";
import { compareTexts } from "../worker/select";
import type { App } from "./app";
import type { DeviceRecord } from "./device";

/** The filter, and the metrics of the device by name. */
export interface MetricFilter {
  readonly text: Accessor<string>;
  readonly setText: (text: string) => void;
  readonly all: Accessor<readonly string[]>;
  readonly passing: Accessor<readonly string[]>;
  readonly passes: (name: string) => boolean;
}

/** Follows a device's metrics and the address. */
export function createMetricFilter({ place }: App, device: Accessor<DeviceRecord>): MetricFilter {
  const text = () => place.query().q ?? "";
  // A device's metrics come, and go only all together: their count says when there are others.
  const count = createMemo(() => device().read().metrics.size);
  const all = createMemo(() => {
    count();
    return [...device().metrics.keys()].sort(compareTexts);
  });
  const passes = (name: string) => hasText(name, text());
  return {
    text,
    setText: (q) => place.setQuery({ q }),
    all,
    passing: createMemo(() => all().filter(passes)),
    passes,
  };
}

/** Whether a name contains each word of a text, in letters of any size. */
export function hasText(name: string, text: string): boolean {
  const known = name.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => known.includes(word));
}
