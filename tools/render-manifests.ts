/**
 * Renders `deploy/manifests.yaml` from the Helm chart. With `--check` it changes nothing and fails
 * when the manifests are not current. The binary is `helm`, or the one that `HELM` names.
 *
 * Most machines have no Helm, so the manifests carry two digests in their header: of what they were
 * rendered from, and of what came out. Tests compare both, so that neither a chart changed without
 * rendering nor manifests changed by hand pass unnoticed.
 */
import { join } from "node:path";

const root = join(import.meta.dir, "..");
export const chartPath = join(root, "deploy", "helm", "keda-gpu-scaler");
export const manifestsPath = join(root, "deploy", "manifests.yaml");
/** In the chart, because Helm reads no file outside it. */
export const dashboardPath = join(chartPath, "dashboards", "keda-gpu-scaler.json");

/** Stands for the registry of whoever applies the manifests. */
export const registryPlaceholder = "registry.example";
/** The admission policy does not depend on what Helm believes of a cluster that it does not ask. */
const renderOptions = [
  ...["--namespace", "keda", "--skip-tests"],
  ...["--set", `image.repository=${registryPlaceholder}/keda-gpu-scaler`],
  ...["--set", "admissionPolicy.enabled=true"],
] as const;

export interface Rendered {
  /** Of every file of the chart and the options it is rendered with. */
  readonly inputsSha256: string;
  /** Of the documents below the header. */
  readonly documentsSha256: string;
  readonly documents: string;
}

const sha256 = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex");

/** @returns The digest of the chart as it is now. */
export async function inputsSha256(): Promise<string> {
  const glob = new Bun.Glob("**");
  const paths = (await Array.fromAsync(glob.scan({ cwd: chartPath, dot: true }))).toSorted();
  const hasher = new Bun.CryptoHasher("sha256").update(JSON.stringify(renderOptions));
  for (const path of paths) {
    // The path and the length before the text: no two charts give the same bytes.
    const text = await Bun.file(join(chartPath, path)).text();
    hasher.update(`${path}\0${text.length}\0${text}`);
  }
  return hasher.digest("hex");
}

/** @throws when the text has no header as `withHeader` writes it. */
export function parseManifests(text: string): Rendered {
  const header = /^(?:#.*\n)*# inputs-sha256: (\w{64})\n# documents-sha256: (\w{64})\n/.exec(text);
  const [head, inputs, documents] = header ?? [];
  if (head === undefined || inputs === undefined || documents === undefined)
    throw new Error(
      `Cannot read ${manifestsPath}: its header has no digests; run bun tools/render-manifests.ts`,
    );
  return {
    inputsSha256: inputs,
    documentsSha256: documents,
    documents: text.slice(head.length),
  };
}

/** @returns The digest that a header should carry for these documents. */
export function documentsSha256(documents: string): string {
  return sha256(documents);
}

/** @throws when Helm is not there or refuses the chart. */
export function helm(binary: string, ...args: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([binary, ...args]);
  if (exitCode !== 0)
    throw new Error(`Cannot run helm ${args.join(" ")}: ${stderr.toString().trim()}`);
  return stdout.toString();
}

/** @returns The text of `deploy/manifests.yaml` as the chart gives it now. */
export async function renderManifests(binary: string): Promise<string> {
  const rendered = helm(binary, "template", "keda-gpu-scaler", chartPath, ...renderOptions);
  // Helm did not install these objects, so they do not say that it manages them. The first document
  // needs no mark, and after the header it would end a document of comments.
  const documents = rendered
    .replace(/^---\n/, "")
    .replaceAll(/^ +(?:app\.kubernetes\.io\/managed-by|helm\.sh\/chart): .*\n/gm, "");
  return `# keda-gpu-scaler beside KEDA, in the namespace keda, which KEDA's own installation makes:
#
#   sed 's|${registryPlaceholder}|REGISTRY|' deploy/manifests.yaml | kubectl apply -f -
#
# REGISTRY is where you pushed the image. Before Kubernetes 1.30 there is no ValidatingAdmissionPolicy, and kubectl says
# so after it has applied the rest.
#
# Rendered from deploy/helm/keda-gpu-scaler by tools/render-manifests.ts; do not edit.
# inputs-sha256: ${await inputsSha256()}
# documents-sha256: ${sha256(documents)}
${documents}`;
}

if (import.meta.main) {
  const text = await renderManifests(process.env["HELM"] ?? "helm");
  if (!Bun.argv.includes("--check")) await Bun.write(manifestsPath, text);
  else if ((await Bun.file(manifestsPath).text()) !== text)
    throw new Error("deploy/manifests.yaml is not current: run bun tools/render-manifests.ts");
}
