// The committed page: built from these sources, light, and fit for a strict content security policy.
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const startPageBytesMax = 60 * 1024;

it("is byte for byte what the sources build", { timeout: 60_000 }, async () => {
  const fresh = await mkdtemp(join(tmpdir(), "dashboard-"));
  try {
    const { NODE_ENV: _, VITEST: __, ...env } = process.env;
    const vite = join(root, "node_modules", "vite", "bin", "vite.js");
    await promisify(execFile)(process.execPath, [vite, "build", "--outDir", fresh], { cwd: root, env });
    expect(await contents(dist), "run `npm run build` and commit dist").toEqual(await contents(fresh));
  } finally {
    await rm(fresh, { recursive: true });
  }
});

it("starts with at most 60 KiB, its worker included", async () => {
  const html = await readFile(join(dist, "index.html"));
  const linked = [...html.toString().matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, path]) => path ?? "");
  expect(linked.some((path) => path.endsWith(".js")) && linked.some((path) => path.endsWith(".css"))).toBe(
    true,
  );
  const workers = (await readdir(join(dist, "assets"))).filter((name) => name.startsWith("worker-"));
  expect(workers).toHaveLength(1);
  const paths = [...linked, ...workers.map((name) => join("assets", name))];
  const files = await Promise.all(paths.map((path) => readFile(join(dist, path))));
  const bytes = [html, ...files].reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0);
  expect(bytes).toBeLessThanOrEqual(startPageBytesMax);
});

it("has no script, style or handler in the page itself, and asks nobody else for anything", async () => {
  const html = await readFile(join(dist, "index.html"), "utf8");
  expect(html).not.toMatch(/<script(?![^>]*\ssrc=)/);
  expect(html).not.toMatch(/<style|\sstyle=|\son\w+=/);
  expect(html).not.toMatch(/(?:src|href)="(?!\.\/)/);
  for (const [path, text] of Object.entries(await contents(dist))) {
    if (path.endsWith(".css")) expect(text, path).not.toMatch(/@import|url\((?!["']?\.)/);
    if (!path.endsWith(".js")) continue;
    expect(text, path).not.toMatch(/\beval\(|new Function\(|\bFunction\(/);
    expect(text, path).not.toMatch(/<[a-z]+[^>`]* style=/);
    const outside = [...text.matchAll(/https?:\/\/[^\s"'`)]+/g)].map(([url]) => url);
    expect(
      outside.filter((url) => !url.startsWith("http://www.w3.org/")),
      path,
    ).toEqual([]);
  }
});

/** All files under a folder, by their path in it. */
async function contents(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = files
    .sort()
    .map(async (file) => [relative(folder, file), await readFile(file, "utf8")] as const);
  return Object.fromEntries(await Promise.all(texts));
}
