/**
 * Each attack on the gRPC port for some seconds against the compiled binary, with a well-behaved client
 * beside it. How fast that client is answered meanwhile is measured by `bench/hostile.ts`.
 */
import { describe, expect, test } from "bun:test";
import { connectionsMax } from "#core/limits.ts";
import { attackNames, siege } from "./siege.ts";

const testMs = 60_000;
/** What a process has open beside its clients' connections, and its limit's tenth. */
const descriptorsMax = connectionsMax * 1.1 + 20;
const mebibytesMax = 256;

describe("a client that works is answered, and little is left of it soon after, under", () => {
  test.each(attackNames)(
    "%s",
    async (attack) => {
      const figures = await siege({
        attack,
        peers: 5,
        streams: 100,
        attackMs: 3_000,
        recoveryMs: 2_000,
      });
      const { during, peak, after, rest } = figures;
      const { OK = 0 } = during.codes;
      expect(OK).toBeGreaterThan(0);
      expect(peak.rssMebibytes).toBeLessThan(mebibytesMax);
      expect(peak.descriptors).toBeLessThan(descriptorsMax);
      expect(after.calls).toBeGreaterThan(0);
      expect(after.failed).toBe(0);
      expect(rest.openConnections).toBeLessThan(20);
    },
    testMs,
  );
});
