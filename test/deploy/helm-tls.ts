/**
 * The chart's TLS, with an API server where certificates are kept; imported by `helm-checks.ts`.
 *
 * @module
 */
import { describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { chartPath } from "../../tools/render-manifests.ts";
import {
  agentOf,
  agentPod,
  binary,
  type Objects,
  release,
  render,
  renderBlock,
  scalerOf,
  sets,
} from "./helm-render.ts";
import {
  containerOf,
  expectConsistent,
  expectRestricted,
  expectUnprivilegedRoot,
  workloadsOf,
} from "./invariants.ts";
import { ofKind, only, parseObjects } from "./kinds.ts";
import type { PodSpec } from "./pod-schema.ts";

/** @returns The certificates of a Secret: its own, and its authority's. */
function certificatesOf(objects: Objects, name: string) {
  const secret = ofKind(objects, "Secret").find(({ metadata }) => metadata.name === name);
  if (secret === undefined) throw new Error(`There is no Secret ${name}`);
  const decoded = (key: "tls.crt" | "ca.crt") =>
    new X509Certificate(Buffer.from(secret.data[key], "base64"));
  return { own: decoded("tls.crt"), authority: decoded("ca.crt") };
}

/** Renders beside a cluster that has these Secrets already, as an upgrade does. */
async function renderBeside(
  secrets: ReturnType<typeof ofKind<"Secret">>,
  ...options: readonly string[]
): Promise<Objects> {
  const kinds = [
    { name: "secrets", kind: "Secret", namespaced: true, singularName: "secret", verbs: ["get"] },
    { name: "namespaces", kind: "Namespace", namespaced: false, singularName: "", verbs: ["get"] },
  ];
  const answers = new Map<string, unknown>([
    ["/version", { major: "1", minor: "34", gitVersion: "v1.34.0" }],
    ["/api", { kind: "APIVersions", versions: ["v1"] }],
    ["/apis", { kind: "APIGroupList", apiVersion: "v1", groups: [] }],
    ["/api/v1", { kind: "APIResourceList", groupVersion: "v1", resources: kinds }],
    ...secrets.map((secret): [string, unknown] => {
      const { namespace = "", name } = secret.metadata;
      return [`/api/v1/namespaces/${namespace}/secrets/${name}`, secret];
    }),
  ]);
  const missing = { kind: "Status", apiVersion: "v1", status: "Failure", reason: "NotFound" };
  const server = Bun.serve({
    port: 0,
    fetch: ({ url }) => {
      const answer = answers.get(new URL(url).pathname);
      return answer === undefined
        ? Response.json({ ...missing, code: 404 }, { status: 404 })
        : Response.json(answer);
    },
  });
  try {
    const cluster = ["--dry-run=server", "--kube-apiserver", `http://127.0.0.1:${server.port}`];
    const run = Bun.spawn([binary, ...release, ...cluster, ...options], { stderr: "pipe" });
    const [yaml, problem] = await Promise.all([
      new Response(run.stdout).text(),
      new Response(run.stderr).text(),
    ]);
    if ((await run.exited) !== 0) throw new Error(problem);
    return parseObjects(yaml);
  } finally {
    await server.stop(true);
  }
}

describe("TLS", () => {
  const on = sets("tls.enabled=true");
  const names = {
    scaler: "keda-gpu-scaler-tls",
    agent: "keda-gpu-scaler-agent-tls",
    client: "keda-gpu-scaler-client-tls",
  };
  const secretIn = ({ volumes = [] }: PodSpec, name = "tls") =>
    volumes.find((volume) => volume.name === name)?.secret?.secretName;
  const podOf = (objects: Objects) => only(ofKind(objects, "Pod"));
  const flagsOf = (workload: Parameters<typeof containerOf>[0]) =>
    containerOf(workload).args?.filter((arg) => arg.startsWith("--tls-"));
  const folder = "/etc/keda-gpu-scaler-tls";

  test("off, nothing of it is rendered", () => {
    expect(JSON.stringify(render())).not.toContain("tls");
  });

  test("each role has its own certificate, and knows whom it answers", () => {
    const objects = render(...on);
    expectConsistent(objects);
    expectRestricted(scalerOf(objects).spec.template.spec);
    expectUnprivilegedRoot(agentPod(objects));
    const files = [
      `--tls-cert=${folder}/tls.crt`,
      `--tls-key=${folder}/tls.key`,
      `--tls-client-ca=${folder}/ca.crt`,
    ];
    expect(flagsOf(scalerOf(objects))).toEqual([
      ...files,
      "--tls-client-names=keda-operator,keda-operator-metrics-apiserver",
    ]);
    expect(flagsOf(agentOf(objects))).toEqual([...files, "--tls-client-names=keda-gpu-scaler"]);
    for (const workload of workloadsOf(objects))
      expect(containerOf(workload).volumeMounts).toContainEqual({
        name: "tls",
        mountPath: folder,
        readOnly: true,
      });
    expect(secretIn(scalerOf(objects).spec.template.spec)).toBe(names.scaler);
    expect(secretIn(agentPod(objects))).toBe(names.agent);
  });

  test("helm test calls as KEDA does", () => {
    const { spec } = podOf(render(...on));
    expect(secretIn(spec)).toBe(names.client);
    const { args } = spec.containers[0];
    expect(args).toContain("-cert=/etc/tls/tls.crt");
    expect(args).not.toContain("-plaintext");
    expect(podOf(render()).spec.containers[0].args).toContain("-plaintext");
  });

  test("the chart's certificates carry the Services' names, from one authority", () => {
    const objects = render(...on);
    for (const [role, service] of [
      ["scaler", "keda-gpu-scaler"],
      ["agent", "keda-gpu-scaler-agent"],
    ] as const) {
      const { own, authority } = certificatesOf(objects, names[role]);
      expect(own.checkIssued(authority)).toBe(true);
      expect(own.verify(authority.publicKey)).toBe(true);
      for (const suffix of ["", ".gpu-scaling", ".gpu-scaling.svc.cluster.local"])
        expect(own.checkHost(`${service}${suffix}`)).toBeDefined();
      expect(own.checkHost("keda-operator")).toBeUndefined();
      expect(authority.ca).toBe(true);
      expect(own.ca).toBe(false);
    }
    // Neither end can be taken for another: the names that each answers are in one certificate.
    const { own } = certificatesOf(objects, names.client);
    expect(own.checkHost("keda-operator")).toBe("keda-operator");
    expect(own.checkHost("keda-gpu-scaler")).toBeUndefined();
    const agent = certificatesOf(objects, names.agent).own;
    expect(agent.checkHost("keda-gpu-scaler")).toBeUndefined();
  });

  test("an upgrade keeps all certificates, and makes all anew when one is gone", async () => {
    const installed = ofKind(render(...on), "Secret");
    const dataOf = (objects: Objects) => ofKind(objects, "Secret").map(({ data }) => data);
    const upgraded = await renderBeside(installed, ...on);
    expect(dataOf(upgraded)).toEqual(installed.map(({ data }) => data));
    const repaired = await renderBeside(installed.slice(1), ...on);
    for (const name of Object.values(names)) {
      const { own, authority } = certificatesOf(repaired, name);
      expect(own.verify(authority.publicKey)).toBe(true);
      expect(own.serialNumber).not.toBe(certificatesOf(upgraded, name).own.serialNumber);
    }
  });

  test("cert-manager makes the same ones", async () => {
    const objects = await renderBlock("cert-manager");
    expect(ofKind(objects, "Secret")).toEqual([]);
    const certificates = ofKind(objects, "Certificate");
    expect(certificates.map(({ spec }) => spec.secretName).toSorted()).toEqual(
      Object.values(names).toSorted(),
    );
    for (const { spec } of certificates) {
      expect(spec.dnsNames).toContain(spec.commonName);
      expect(spec.issuerRef).toEqual({
        name: "gpu-scaling",
        kind: "ClusterIssuer",
        group: "cert-manager.io",
      });
    }
    expect(secretIn(agentPod(objects))).toBe(names.agent);
  });

  test("Secrets of one's own, and an authority from a ConfigMap", async () => {
    const objects = await renderBlock("own-certificates");
    expectConsistent(objects);
    expect([...ofKind(objects, "Secret"), ...ofKind(objects, "Certificate")]).toEqual([]);
    expect(secretIn(scalerOf(objects).spec.template.spec)).toBe("scaler-certificate");
    expect(secretIn(agentPod(objects))).toBe("agent-certificate");
    expect(secretIn(podOf(objects).spec)).toBe("keda-certificate");
    const [scaler = [], agent = []] = [scalerOf(objects), agentOf(objects)].map(flagsOf);
    expect(scaler).toContain("--tls-client-ca=/etc/keda-gpu-scaler-ca/ca.crt");
    expect(agent).toContain("--tls-client-names=gpu-scaler.example");
    expect(scaler).toContain("--tls-client-names=keda.example");
  });

  test("one Secret serves both roles, and then nobody can play KEDA for helm test", () => {
    const objects = render(...on, ...sets("tls.existingSecret=all"));
    expect(secretIn(scalerOf(objects).spec.template.spec)).toBe("all");
    expect(secretIn(agentPod(objects))).toBe("all");
    expect(ofKind(objects, "Pod")).toEqual([]);
  });

  test("the example's authentication names what the chart makes", async () => {
    const path = join(chartPath, "..", "..", "examples", "tls", "authentication.yaml");
    const objects = parseObjects(await Bun.file(path).text());
    const { secretTargetRef } = only(ofKind(objects, "ClusterTriggerAuthentication")).spec;
    expect(secretTargetRef.map(({ parameter, name, key }) => [parameter, name, key])).toEqual([
      ["caCert", names.client, "ca.crt"],
      ["tlsClientCert", names.client, "tls.crt"],
      ["tlsClientKey", names.client, "tls.key"],
    ]);
  });
});
