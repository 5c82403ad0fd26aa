import { afterEach, describe, expect, test } from "bun:test";
import { scaleEveryMs } from "#core/limits.ts";
import { groupPath, resourceNames, type ScaleTarget } from "#kubernetes/api-resources.ts";
import { inClusterClient, startFake, stopAll } from "../fake-kubernetes/harness.ts";
import { manualClock } from "../support/manual-clock.ts";

afterEach(stopAll);

const target = (kind: string, group = "apps"): ScaleTarget => ({
  group,
  version: "v1",
  kind,
  name: "llm",
});

async function started() {
  const fake = await startFake({ tls: true, token: "first" });
  const clock = manualClock();
  const { client } = await inClusterClient(fake, clock);
  return { fake, clock, resourceOf: resourceNames(client, clock) };
}

test("groupPath() is the core group's or a named group's", () => {
  expect(groupPath({ group: "", version: "v1" })).toBe("/api/v1");
  expect(groupPath({ group: "apps", version: "v1" })).toBe("/apis/apps/v1");
  expect(groupPath({ group: "a/b", version: "v1" })).toBe("/apis/a%2Fb/v1");
});

describe("resourceNames()", () => {
  test("finds plurals, with one request for each group and version", async () => {
    const { fake, resourceOf } = await started();
    expect(await resourceOf(target("Deployment"))).toBe("deployments");
    expect(await resourceOf(target("StatefulSet"))).toBe("statefulsets");
    expect(await resourceOf(target("Pod", ""))).toBe("pods");
    expect(fake.requests.map(({ path }) => path)).toEqual(["/apis/apps/v1", "/api/v1"]);
  });

  test("needs no request for a plural that is known", async () => {
    const { fake, resourceOf } = await started();
    expect(await resourceOf({ ...target("Odd"), resource: "oddities" })).toBe("oddities");
    expect(fake.requests).toEqual([]);
  });

  test("reads a list again for a kind that it lacks, once in a while", async () => {
    const { fake, clock, resourceOf } = await started();
    // The subresource `deployments/scale` has this kind, and is no resource of its own.
    const refused = () => expect(resourceOf(target("Scale"))).rejects.toThrow("no such kind");
    await refused();
    clock.advance(scaleEveryMs);
    await refused();
    expect(fake.requests).toHaveLength(1);
    clock.advance(1);
    await refused();
    expect(fake.requests).toHaveLength(2);
    await refused();
    expect(fake.requests).toHaveLength(2);
  });

  test("does not keep a failure", async () => {
    const { fake, resourceOf } = await started();
    fake.fail({ path: /apps/, status: 503 });
    await expect(resourceOf(target("Deployment"))).rejects.toThrow("status 503");
    fake.fail();
    expect(await resourceOf(target("Deployment"))).toBe("deployments");
  });
});
