// A device's values as a file.
import type { Api } from "../api";
import type { DeviceId } from "../generated/protocol";
import { CsvPages } from "../text/csv";

/** More than this is for a script, not for a page. */
const bytesMax = 128 * 1024 * 1024;

/** Reads all pages, tells how many rows it has, and saves them. Gives why not, where it could not. */
export async function downloadCsv(
  api: Api,
  device: DeviceId,
  from: number,
  to: number,
  progress: (rows: number) => void,
): Promise<string | null> {
  const pages = new CsvPages();
  let [rows, bytes] = [0, 0];
  let next: URL | null = api.csvAddress(device, from, to);
  while (next !== null) {
    const read: Awaited<ReturnType<Api["csv"]>> = await api.csv(next);
    if (read.kind === "failed") return `The file could not be read: ${read.message}`;
    rows += pages.add(read.value.text);
    bytes += read.value.text.length;
    progress(rows);
    if (bytes > bytesMax) return "That is more than a page can hold: choose a shorter time.";
    next = read.value.next;
  }
  save(pages.parts(), `${device}-${new Date(from).toISOString().slice(0, 19).replaceAll(":", "")}.csv`);
  return null;
}

function save(parts: string[], name: string): void {
  const address = URL.createObjectURL(new Blob(parts, { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name.replaceAll(/[^\w.-]/g, "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
