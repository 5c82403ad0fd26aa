import { afterAll, describe, expect, test } from "bun:test";
import { campaign, crashesOf, heapGrowthBytesMax, replay } from "./campaign.ts";
import { targets } from "./targets.ts";

/** Always the same, so that what fails here fails again; `run.ts` takes another each time. */
const seed = 1;

describe.each(targets.map((target) => [target.name, target] as const))("%s", (_name, target) => {
  afterAll(() => target.close?.());

  test.each([...crashesOf(target)])("keeps its promises for %s", async (_file, input) => {
    await replay(target, input);
  });

  test(`keeps its promises for ${target.testInputs} inputs`, async () => {
    const { inputs, outcomes, heapGrowthBytes, failure } = await campaign(target, {
      inputs: target.testInputs,
      seed,
    });
    if (failure !== undefined) {
      const { input, error } = failure;
      throw new Error(`seed ${seed}, input in base64: ${input.toString("base64")}`, {
        cause: error,
      });
    }
    expect(inputs).toBe(target.testInputs);
    // Where all came to the same, nothing was read.
    expect(outcomes).toBeGreaterThan(2);
    expect(heapGrowthBytes).toBeLessThan(heapGrowthBytesMax);
  }, 60_000);
});

test("each target has a name of its own", () => {
  const names = targets.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});
