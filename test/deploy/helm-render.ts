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

/** Each `# values: name` block of the README. */
const readme = await Bun.file(join(chartPath, "..", "..", "README.md")).text();
export const blocks = [...readme.matchAll(/^```yaml\n# values: (\S+)\n([\s\S]*?)^```$/gm)].map(
  ([, name = "", values = ""]) => [name, values] as const,
);

/** Renders with the values of a README block. */
export function renderBlock(name: string, ...options: readonly string[]) {
  const values = blocks.find(([each]) => each === name)?.[1];
  if (values === undefined) throw new Error(`deploy/README.md has no values block ${name}`);
  const path = join(tmpdir(), `values-${name}-${process.pid}.yaml`);
  return Bun.write(path, values)
    .then(() => render("--values", path, ...options))
    .finally(() => Bun.file(path).delete());
}

export const agentOf = (objects: Objects) => only(ofKind(objects, "DaemonSet"));
export const scalerOf = (objects: Objects) => only(ofKind(objects, "Deployment"));
export const agentPod = (objects: Objects) => agentOf(objects).spec.template.spec;
