import { expect, test } from "bun:test";
import fc from "fast-check";
import { Fault } from "#core/fault.ts";
import { metricNames } from "#metric/catalogue.ts";
import { reducerNames } from "#metric/reduce.ts";
import { triggerKeyNames } from "#trigger/keys.ts";
import { profileNames } from "#trigger/profiles.ts";
import { parseTrigger } from "#trigger/trigger.ts";

/** Text close to what keys hold, so that generated metadata gets past the first rules. */
const nearValue = fc.oneof(
  fc.string(),
  fc.constantFrom<string>(...metricNames, ...reducerNames, ...profileNames),
  fc.constantFrom("node", "workload", "cluster", "http://a:1/", "/metrics", "app in (a,b)"),
  fc.constantFrom("", "NaN", "Infinity", "-0", "1e3", "0x10", "0.001", "0.0009", "9".repeat(400)),
  fc.integer({ min: -2, max: 70_000 }).map(String),
  fc.double().map(String),
);
const nearKey = fc
  .tuple(fc.constantFrom<string>(...triggerKeyNames), fc.constantFrom("", "", "FromEnv", "s"))
  .map(([name, suffix]) => name + suffix);
const metadata = fc.oneof(
  fc.dictionary(fc.string(), fc.string()),
  fc.dictionary(fc.string({ unit: "binary" }), fc.string({ unit: "binary", maxLength: 5000 })),
  fc.dictionary(nearKey, nearValue, { maxKeys: 5 }),
);

test("any metadata is a trigger within its limits, or a fault that names problems", () => {
  let triggers = 0;
  fc.assert(
    fc.property(metadata, (given) => {
      try {
        const trigger = parseTrigger(given);
        triggers += 1;
        expect(trigger.target).toBeGreaterThanOrEqual(0.001);
        expect(trigger.target).toBeLessThanOrEqual(1e12);
        expect(trigger.activationThreshold).toBeGreaterThanOrEqual(0);
        expect(trigger.activationThreshold).toBeLessThanOrEqual(1e12);
        expect(trigger.gpuIndex).toBeGreaterThanOrEqual(-1);
        expect(trigger.windowSeconds).toBeGreaterThanOrEqual(0);
        expect(trigger.windowSeconds).toBeLessThanOrEqual(600);
        expect(trigger.pollIntervalSeconds).toBeGreaterThanOrEqual(1);
        expect(trigger.metricName).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
        expect(metricNames).toContain(trigger.metric);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        expect(error.code).toBe("trigger-invalid");
        expect((error.facts as { problems: string[] }).problems.length).toBeGreaterThan(0);
        expect(error.message.length).toBeLessThan(64 * 1024);
      }
    }),
    { numRuns: 2000 },
  );
  // The generator must reach the good side, or the property says nothing about it.
  expect(triggers).toBeGreaterThan(100);
});

test("a key means the same by its own name and from the environment", () => {
  fc.assert(
    fc.property(fc.constantFrom(...triggerKeyNames), nearValue, (name, value) => {
      const outcome = (key: string) => {
        try {
          return parseTrigger({ [key]: value });
        } catch (error) {
          return (error as Fault).message.replaceAll(`${name}FromEnv`, name);
        }
      };
      expect(outcome(`${name}FromEnv`)).toEqual(outcome(name));
    }),
  );
});
