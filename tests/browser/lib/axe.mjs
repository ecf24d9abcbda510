// What axe-core finds wrong on a page.
import axe from "axe-core";

/** What axe finds wrong, as rule and places. */
export async function findings({ page }) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ["violations"] }),
  );
  return violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`,
  );
}
