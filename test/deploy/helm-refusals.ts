/**
 * What the chart refuses, and that it is what the program refuses; imported by `helm-checks.ts`.
 *
 * @module
 */
import { describe, expect, test } from "bun:test";
import { commands } from "#cli/commands/all.ts";
import { render, sets } from "./helm-render.ts";

describe("refused", () => {
  const chat = "profiles.chat.target=5,profiles.chat.";

  test.each([
    ["an unknown value", ["replicaCount=2"], "'replicaCount' not allowed"],
    ["an unknown value inside", ["scaler.replicaCount=2"], "'replicaCount' not allowed"],
    ["a misspelt toleration", ["tolerations[0].keys=x"], "'keys' not allowed"],
    ["a mode, of which there is one", ["mode=daemonset"], "'mode' not allowed"],
    ["an unknown access", ["gpu.access=magic"], "/gpu/access"],
    ["no image", ["image.repository="], 'image.repository is "", and without a registry'],
    ["an image of no registry", ["image.repository=keda-gpu-scaler"], "docker buildx build"],
    ["a folder for a registry", ["image.repository=ml/keda-gpu-scaler"], "--tag REGISTRY/"],
    ["a policy now and then", ["admissionPolicy.enabled=maybe"], "/admissionPolicy/enabled"],
    ["no action", ["admissionPolicy.validationActions={}"], "/admissionPolicy/validationActions"],
    [
      "a refusal that is also a warning",
      ["admissionPolicy.validationActions={Deny,Warn}"],
      "/admissionPolicy/validationActions",
    ],
    ["a half digest", ["image.digest=sha256:12"], "/image/digest"],
    ["no scaler", ["scaler.replicas=0"], "/scaler/replicas"],
    ["a time without unit", ["sampleInterval=5"], "/sampleInterval"],
    ["an argument that is no flag", ["agent.extraArgs[0]=serve"], "/agent/extraArgs"],
    ["a label that is a list", ["nodeSelector.a[0]=b"], "/nodeSelector/a"],
    ["host-path without privilege", ["gpu.access=host-path"], "set agent.privileged=true"],
    ["a profile without a target", ["profiles.chat.metric=queue_depth"], "/profiles/chat"],
    ["a profile by a bad name", ["profiles.Chat.metric=a,profiles.Chat.target=1"], "Chat"],
    ["two hosts as one", ["allowEndpoints[0]=a b"], "/allowEndpoints/0"],
    ["no scope at all", ["allowScopes={}"], "/allowScopes"],
    ["a scope twice", ["allowScopes={node,node}"], "/allowScopes"],
    ["a mock that nothing reads", ["mock=devices:"], "set collector=mock"],
    ["a profile by a built-in name", ["profiles.batch.metric=queue_depth"], "batch"],
    ["a profile that asks without a series", [`${chat}metric=engine_metric`], "engineMetric"],
    [
      "a series that nothing asks for",
      [`${chat}metric=queue_depth`, `${chat}engineMetric=x`],
      "/profiles/chat",
    ],
    [
      "a way to join series that are not named",
      [`${chat}metric=queue_depth`, `${chat}engineReduce=sum`],
      "engineReduce",
    ],
    [
      "a page of which nothing is asked",
      [`${chat}metric=queue_depth`, `${chat}engine=prometheus`],
      "/profiles/chat/engine",
    ],
    ["a namespace of tokens by a bad name", ["engineTokens.Team=a"], "Team"],
    ["tokens in no Secret", ["engineTokens.team-a="], "/engineTokens/team-a"],
    ["a namespace of authorities by a bad name", ["engineCas.Team=a"], "Team"],
    ["authorities in no ConfigMap", ["engineCas.team-a="], "/engineCas/team-a"],
    ["a priority class by a bad name", ["agent.priorityClassName=High"], "/agent/priorityClass"],
    ["a peer that is nobody", ["networkPolicy.metricsFrom[0].pods=x"], "'pods' not allowed"],
    ["no engines", ["networkPolicy.enginesTo=null"], "missing property 'enginesTo'"],
    ["no port of the API server", ["networkPolicy.apiServerPorts={}"], "/networkPolicy/apiServer"],
    ["KEDA without a label", ["networkPolicy.kedaPodLabels.app=null"], "/networkPolicy/kedaPod"],
    ["monitors of what may not be read", ["serviceMonitor.enabled=true"], "set networkPolicy.metr"],
    [
      "a quota for no class",
      ["priorityQuota.enabled=true", "agent.priorityClassName=", "scaler.priorityClassName="],
      "set priorityQuota.enabled=false",
    ],
    [
      "an exporter that is not read",
      ["collector=nvml", "exporter.name=gaudi"],
      "set collector=exporter, or remove exporter.name",
    ],
    ["an exporter without a name", ["collector=exporter"], "exporter.name is empty"],
    [
      "an exporter over TLS",
      ["collector=exporter", "exporter.name=gaudi", "exporter.url=https://a/"],
      "/exporter/url",
    ],
    [
      "two sources of certificates",
      ["tls.certManager.enabled=true", "tls.existingSecret=a"],
      "a certificate has one source",
    ],
    ["cert-manager without an issuer", ["tls.certManager.enabled=true"], "issuerRef.name is empty"],
    ["an agent's Secret alone", ["tls.existingAgentSecret=a"], "beside tls.existingSecret only"],
    ["clients without a name", ["tls.clientNames.scaler={}"], "/tls/clientNames/scaler"],
    ["two names as one", ["tls.clientNames.agent[0]=a b"], "/tls/clientNames/agent/0"],
    ["a flag that the chart sets", ["scaler.extraArgs={--port=1}"], "scaler.extraArgs has --port"],
    ["a flag twice", ["agent.extraArgs={--node-name=a,--node-name=b}"], "has --node-name"],
  ])("%s", (_what, pairs, reason) => {
    expect(() => render(...sets(...pairs))).toThrow(reason);
  });
});

/** Each value beside the flag that it becomes: whatever the program refuses, the chart refuses. */
describe("the program's own rules", () => {
  const { flags } = commands.serve;
  test.each([
    [
      "sampleInterval",
      "sample-interval",
      ["99ms", "100ms", "0.1s", "1m", "60.1s", "1h", "1d", "1"],
    ],
    [
      "agent.deviceWatchdog",
      "device-watchdog",
      ["999ms", "1s", "0.5m", "1h", "61m", "1.5h", "1 s"],
    ],
    ["bindAddress", "bind", ["0.0.0.0", "::", "fd00::1", "1.2.3", "999.0.0.1", ":::", "a.b"]],
    ["log.level", "log-level", ["debug", "trace"]],
    ["log.format", "log-format", ["text", "xml"]],
    ["collector", "collector", ["nvml", "amdgpu", "magic"]],
    ["exporter.name", "exporter", ["gaudi", "dcgm", "/etc/acme.yaml", "guadi"]],
    ["allowScopes[0]", "allow-scope", ["node", "cluster", "workload", "pod", ""]],
    [
      "allowEndpoints[0]",
      "allow-endpoint",
      [
        "a.example",
        "*.a",
        "a:8000",
        "a:*",
        "[fd00::1]:80",
        "fd00::1",
        "a b",
        "-a",
        "a:x",
        "*",
        "a*",
      ],
    ],
  ] as const)("%s", (value, flag, texts) => {
    for (const text of texts) {
      const rendered = () => render("--set-string", `${value}=${text}`);
      if (flags[flag].parse(text) === undefined) expect(rendered).toThrow(/schema|Cannot render/);
      else expect(rendered).not.toThrow();
    }
  });
});
