import { expect } from "bun:test";

/**
 * Asks again and again until the answer is as expected; fails with the last one.
 *
 * @param expected A value or one of `expect`'s matchers.
 */
export async function eventually<Answer>(
  ask: () => Promise<Answer> | Answer,
  expected: unknown,
  { withinMs = 25_000, everyMs = 20 } = {},
): Promise<void> {
  const untilMs = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    try {
      expect<unknown>(answer).toEqual(expected);
      return;
    } catch (error) {
      if (performance.now() > untilMs) throw error;
    }
    await Bun.sleep(everyMs);
  }
}
