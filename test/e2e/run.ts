/**
 * Tries the whole on a real cluster that has KEDA, by the kubeconfig that kubectl uses: the chart with mock
 * devices, a ScaledObject that goes from 3 to 4 replicas, to 1, to zero and back, and a typo that
 * `kubectl apply` refuses. It makes two namespaces of its own names, and removes them at the end.
 *
 *     bun test/e2e/run.ts --image REGISTRY/keda-gpu-scaler:TAG --node NODE
 *
 * NODE gets the agent, and a label for it; the scaler needs another node that pods may run on.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    image: { type: "string" },
    node: { type: "string" },
    kubectl: { type: "string", default: "kubectl" },
    helm: { type: "string", default: "helm" },
    /** Of each step, in seconds: an HPA acts every 15 s, KEDA every 5 s here. */
    patience: { type: "string", default: "180" },
  },
});
const { image, node, kubectl, helm } = options;
if (image === undefined || node === undefined)
  throw new Error("say --image REGISTRY/keda-gpu-scaler:TAG and --node NODE");
const patienceMs = 1_000 * Number(options.patience);

const root = join(import.meta.dir, "..", "..");
const namespaces = { release: "keda-gpu-scaler-e2e", workload: "keda-gpu-scaler-e2e-work" };
const label = "keda-gpu-scaler-e2e";

async function run(command: readonly string[], input = ""): Promise<Ran> {
  const child = Bun.spawn([...command], {
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What it wrote; what it complains of ends the run. */
async function must(command: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(command, input);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${stderr.trim()}`);
  return stdout;
}

const apply = (yaml: string) =>
  [[kubectl, "-n", namespaces.workload, "apply", "-f", "-"], yaml] as const;

async function eventually(what: string, read: () => Promise<string>, expected: string) {
  const untilMs = Date.now() + patienceMs;
  let last = "";
  while (Date.now() < untilMs) {
    last = await read();
    if (last === expected) {
      console.log(`ok: ${what}: ${expected}`);
      return;
    }
    await Bun.sleep(1_000);
  }
  throw new Error(`${what}: ${last} after ${options.patience} s, expected ${expected}`);
}

/** Devices that all have this utilization, in the place of those before. */
async function devices(utilizationPercent: number): Promise<void> {
  const mock = [0, 1, 2]
    .map(
      (gpu) => `  - { uuid: GPU-${gpu}, readings: { utilizationPercent: ${utilizationPercent} } }`,
    )
    .join("\n");
  const [, repository = image, tag = ""] = /^(.*):([^:/]+)$/.exec(image ?? "") ?? [];
  const set = [
    `image.repository=${repository}`,
    `image.tag=${tag}`,
    "collector=mock",
    "scaler.replicas=1",
    `nodeSelector.${label}=agent`,
  ].flatMap((pair) => ["--set", pair]);
  await must(
    [
      helm,
      ...["upgrade", "--install", "keda-gpu-scaler", join(root, "deploy/helm/keda-gpu-scaler")],
      ...["--namespace", namespaces.release, "--create-namespace", "--wait", "--timeout", "5m"],
      ...set,
      "--values",
      "-",
    ],
    `mock: |\n  devices:\n${mock.replaceAll(/^/gm, "  ")}\n`,
  );
  console.log(`ok: the devices are at ${utilizationPercent} %`);
}

const scaledObject = (metadata: string) => `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: { name: work }
spec:
  scaleTargetRef: { name: work }
  minReplicaCount: 0
  maxReplicaCount: 5
  pollingInterval: 5
  cooldownPeriod: 15
  advanced:
    horizontalPodAutoscalerConfig:
      behavior: { scaleDown: { stabilizationWindowSeconds: 0 } }
  triggers:
    - type: external
      metadata:
        scalerAddress: keda-gpu-scaler.${namespaces.release}.svc.cluster.local:6000
${metadata}`;
/** Pods of a cluster without GPUs hold none, so the devices of all nodes stand for those of the pods. */
const trigger = `        scope: cluster
        aggregation: sum
        targetGpuUtilization: "80"
`;

const workload = `apiVersion: apps/v1
kind: Deployment
metadata: { name: work }
spec:
  replicas: 3
  selector: { matchLabels: { app: work } }
  template:
    metadata: { labels: { app: work } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{ name: pause, image: registry.k8s.io/pause:3.10 }]
`;

async function replicas(): Promise<string> {
  const path = "jsonpath={.spec.replicas}";
  return must([kubectl, "-n", namespaces.workload, "get", "deployment", "work", "-o", path]);
}

async function refusesTypo(): Promise<void> {
  const [command, yaml] = apply(scaledObject(trigger.replace("aggregation", "aggregration")));
  const { code, stderr } = await run(command, yaml);
  if (code === 0) throw new Error("kubectl apply took a trigger with a misspelt key");
  if (!stderr.includes('"aggregration": unknown key'))
    throw new Error(`kubectl apply refused the typo by other words: ${stderr}`);
  console.log("ok: a typo is refused by kubectl apply");
}

async function all(): Promise<void> {
  await must([kubectl, "label", "node", node ?? "", `${label}=agent`, "--overwrite"]);
  await devices(92);
  await must([kubectl, "create", "namespace", namespaces.workload]);
  await must(...apply(workload));
  await refusesTypo();
  await must(...apply(scaledObject(trigger)));
  await eventually("three devices at 92 % are 3.45 replicas of 80 %", replicas, "4");
  await devices(10);
  await eventually("at 10 % one replica is enough", replicas, "1");
  await devices(0);
  await eventually("idle, there is none", replicas, "0");
  await devices(92);
  await eventually("in use again, they come back", replicas, "4");
}

async function cleanUp(): Promise<void> {
  await run([helm, "uninstall", "keda-gpu-scaler", "--namespace", namespaces.release]);
  for (const name of Object.values(namespaces))
    await run([kubectl, "delete", "namespace", name, "--ignore-not-found", "--wait=false"]);
  await run([kubectl, "label", "node", node ?? "", `${label}-`]);
}

try {
  await all();
  console.log("passed");
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await cleanUp();
}
