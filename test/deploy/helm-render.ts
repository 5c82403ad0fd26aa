/**
 * Renders the chart through Helm, which `helm-checks.ts` says how to give.
 *
 * @module
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chartPath, helm as helmOf } from "../../tools/render-manifests.ts";
import { ofKind, only, parseObjects } from "./kinds.ts";

export const binary = process.env["HELM"] ?? "helm";
export const helm = (...args: readonly string[]) => helmOf(binary, ...args);
export const sets = (...pairs: readonly string[]) => pairs.flatMap((pair) => ["--set", pair]);

export type Objects = ReturnType<typeof render>;
/** How every test installs the chart: there is no default registry. */
export const release = [
  ...["template", "any-release", chartPath, "--namespace", "gpu-scaling"],
  ...sets("image.repository=registry.example/keda-gpu-scaler"),
];

export function render(...options: readonly string[]) {
  return parseObjects(helm(...release, ...options));
}

/** Each `# values: name` block of the documents. */
const readmes = await Promise.all(
  ["deploy/README.md", "docs/getting-started.md"].map((path) =>
    Bun.file(join(chartPath, "..", "..", "..", path)).text(),
  ),
);
export const blocks = [
  ...readmes.join("\n").matchAll(/^```yaml\n# values: (\S+)\n([\s\S]*?)^```$/gm),
].map(([, name = "", values = ""]) => [name, values] as const);

/** Renders with the values of a documented block. */
export function renderBlock(name: string, ...options: readonly string[]) {
  const values = blocks.find(([each]) => each === name)?.[1];
  if (values === undefined) throw new Error(`no document has a values block ${name}`);
  const path = join(tmpdir(), `values-${name}-${process.pid}.yaml`);
  return Bun.write(path, values)
    .then(() => render("--values", path, ...options))
    .finally(() => Bun.file(path).delete());
}

export const agentOf = (objects: Objects) => only(ofKind(objects, "DaemonSet"));
export const scalerOf = (objects: Objects) => only(ofKind(objects, "Deployment"));
export const agentPod = (objects: Objects) => agentOf(objects).spec.template.spec;
