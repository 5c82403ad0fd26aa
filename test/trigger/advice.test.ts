import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { profileAdvice } from "#trigger/advice.ts";
import { profileNames, profileOf } from "#trigger/profiles.ts";
import { ofKind, only, parseObjects } from "../deploy/kinds.ts";

const directory = join(import.meta.dir, "..", "..", "deploy", "examples", "profiles");

describe("profileAdvice", () => {
  test.each(profileNames)("of %s is what its example does", async (profile) => {
    const objects = parseObjects(await Bun.file(join(directory, `${profile}.yaml`)).text());
    const { spec } = only(ofKind(objects, "ScaledObject"));
    const { scaleUp, scaleDown, cooldownSeconds } = profileAdvice[profile];
    const behavior: unknown = spec.advanced?.horizontalPodAutoscalerConfig.behavior;
    expect(behavior).toEqual({ scaleUp, scaleDown });
    expect(spec.cooldownPeriod).toBe(cooldownSeconds);
  });

  test.each(profileNames)("of %s says what brings the first replica back, if any", (profile) => {
    const { wake } = profileAdvice[profile];
    expect(wake === "never goes there").toBe(!profileOf(profile).scalesToZero);
    expect(wake).not.toBe("");
  });
});
