// Reading what changes while it is read.
import { expect, it } from "vitest";
import { onceMore } from "../../src/store/once-more";

it("never reads twice at once, and once more where it was asked for meanwhile", async () => {
  const answers: (() => void)[] = [];
  const read = onceMore(() => new Promise<void>((resolve) => answers.push(resolve)));
  const first = read();
  await Promise.all([read(), read()]);
  expect(answers.length).toBe(1);
  answers[0]?.();
  await expect.poll(() => answers.length).toBe(2);
  answers[1]?.();
  await first;
  expect(answers.length).toBe(2);
  const later = read();
  expect(answers.length).toBe(3);
  answers[2]?.();
  await later;
});
