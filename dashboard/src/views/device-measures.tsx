// What a device measures: its values, and their lines over time.
import { useApp } from "../store/app";
import type { Dates } from "../store/dates";
import type { DeviceRecord } from "../store/device";
import type { History } from "../store/history";
import { createMetricFilter } from "../store/metric-filter";
import { Charts } from "./charts";
import { DeviceValues } from "./device-values";

/** Values beside charts, all of them of the metrics that pass one filter. */
export function DeviceMeasures(props: {
  device: DeviceRecord;
  history: History;
  dates: Dates;
  version: number;
}) {
  const filter = createMetricFilter(useApp(), () => props.device);
  const datedAt = (name: string) => {
    void props.version;
    return props.dates.of(name);
  };
  return (
    <div class="device-measures">
      <DeviceValues device={props.device} filter={filter} datedAt={datedAt} />
      <Charts device={props.device} history={props.history} version={props.version} filter={filter} />
    </div>
  );
}
