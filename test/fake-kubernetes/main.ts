/**
 * The fake API server by itself, for the real binary or `kubectl` in another process:
 *
 *     bun test/fake-kubernetes/main.ts DIRECTORY [OBJECTS.yaml]
 *
 * Writes `DIRECTORY/kubeconfig` and `DIRECTORY/serviceaccount/`, prints one JSON line with its
 * address, and serves until it is stopped. Objects change through POST, PUT and DELETE.
 *
 * @module
 */
import { join } from "node:path";
import type { KubernetesObject } from "./kinds.ts";
import { startFakeKubernetes } from "./server.ts";

const [directory, objects] = process.argv.slice(2);
if (directory === undefined) {
  process.stderr.write("Cannot start: no directory; run it as main.ts DIRECTORY [OBJECTS.yaml]\n");
  process.exit(2);
}
const fake = await startFakeKubernetes({ tls: true, token: crypto.randomUUID() });
const kubeconfig = join(directory, "kubeconfig");
await fake.writeKubeconfig(kubeconfig);
await fake.writeServiceAccount(join(directory, "serviceaccount"));
if (objects !== undefined) {
  const documents = Bun.YAML.parse(await Bun.file(objects).text()) as
    | KubernetesObject
    | KubernetesObject[];
  fake.apply(...[documents].flat());
}
setInterval(fake.bookmark, 60_000);
process.stdout.write(`${JSON.stringify({ url: fake.url, kubeconfig })}\n`);
