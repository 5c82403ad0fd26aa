/**
 * The chart's admission policy under every value; imported by `helm-checks.ts`. What its expressions
 * say is tested without Helm.
 *
 * @module
 */
import { describe, expect, test } from "bun:test";
import { parseProfiles } from "#trigger/custom-profiles.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { type Objects, render, sets } from "./helm-render.ts";
import { ofKind, only } from "./kinds.ts";
import { policyOf, type Scaled } from "./policy.ts";

const enabled = sets("admissionPolicy.enabled=true");
const policies = (objects: Objects) => ofKind(objects, "ValidatingAdmissionPolicy");

function said(objects: Objects, metadata: Readonly<Record<string, string>>): string {
  const trigger = {
    type: "external",
    metadata: { scalerAddress: "keda-gpu-scaler.gpu-scaling:6000", ...metadata },
  };
  const scaled: Scaled = { kind: "ScaledObject", spec: { triggers: [trigger] } };
  return policyOf(only(policies(objects)).spec)(scaled).join("\n");
}

describe("the admission policy", () => {
  test("is there where the API server knows its kind, by default", () => {
    expect(policies(render())).toEqual([]);
    const api = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy";
    expect(policies(render("--api-versions", api))).toHaveLength(1);
    const never = sets("admissionPolicy.enabled=false");
    expect(policies(render("--api-versions", api, ...never))).toEqual([]);
  });

  test("judges the release's own namespace's Service", () => {
    const objects = render(...enabled);
    expect(said(objects, { aggregration: "max" })).toContain("unknown key");
    const elsewhere = { scalerAddress: "keda-gpu-scaler.keda:6000", aggregration: "max" };
    expect(said(objects, elsewhere)).toBe("");
  });

  test("lets objects in when it fails itself, and refuses what is wrong, unless told otherwise", () => {
    const of = (objects: Objects) => ({
      failurePolicy: only(policies(objects)).spec.failurePolicy,
      ...only(ofKind(objects, "ValidatingAdmissionPolicyBinding")).spec,
    });
    const policyName = "keda-gpu-scaler.gpu-scaling";
    expect(of(render(...enabled))).toEqual({
      failurePolicy: "Ignore",
      policyName,
      validationActions: ["Deny"],
    });
    const other = "admissionPolicy.failurePolicy=Fail";
    const actions = "admissionPolicy.validationActions={Warn,Audit}";
    expect(of(render(...enabled, ...sets(other, actions)))).toEqual({
      failurePolicy: "Fail",
      policyName,
      validationActions: ["Warn", "Audit"],
    });
  });

  test("knows the chart's own profiles, as the program will, and no others", () => {
    const profile = sets("profiles.chat.metric=queue_depth", "profiles.chat.target=4");
    const objects = render(...enabled, ...profile);
    expect(said(objects, { profile: "chat", gpuIndex: "0" })).toBe("");
    const { table } = parseProfiles("profiles: { chat: { metric: queue_depth, target: 4 } }");
    const unknown = { profile: "nothing-like-it" };
    const problem = said(objects, unknown);
    expect(problem).toContain("gateway-flow-control, chat, got");
    expect(() => parseTrigger(unknown, table)).toThrow(problem);
  });

  test("takes any name of a profile where the program reads a file that the chart does not know", () => {
    const objects = render(...enabled, ...sets("scaler.extraArgs={--profiles=/etc/mine.yaml}"));
    expect(said(objects, { profile: "mine" })).toBe("");
    expect(said(objects, { profile: "mine", scope: "pod" })).toContain("scope: must be one of");
  });
});
