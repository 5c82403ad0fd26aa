/**
 * `validate`: checks the triggers of ScaledObjects and ScaledJobs in YAML as the server would, and
 * warns of what cannot work.
 *
 * @module
 */
import { scopeFault } from "#answer/scope.ts";
import { type CommandContext, command, exitCodes } from "#cli/command.ts";
import {
  choice,
  choices,
  type FlagValues,
  flag,
  hostPatterns,
  kubernetesName,
  present,
} from "#cli/flags.ts";
import { contentOf, streamText } from "#cli/input-file.ts";
import { profilesFlag, profileTable } from "#cli/profiles-flag.ts";
import { type FileFindings, jsonOf, textOf } from "#cli/validate-report.ts";
import { Fault } from "#core/fault.ts";
import { isMapping } from "#core/file-schema.ts";
import { validateFileBytesMax, validateFilesMax } from "#core/limits.ts";
import { type LocatedYaml, parseYamlDocuments, type YamlPath } from "#core/yaml-text.ts";
import { allowedUrl } from "#engine/scrape/address-policy.ts";
import {
  checkObject,
  type KeyProblem,
  type ObjectCheck,
  type TriggerSource,
} from "#trigger/check-object.ts";
import { scopes } from "#trigger/keys.ts";
import { endpointNames } from "#trigger/resolve.ts";
import { kedaApiVersion, scaledKinds } from "#trigger/scaled-spec.ts";
import type { Trigger } from "#trigger/trigger.ts";

const validateFlags = {
  ...profilesFlag,
  service: flag(kubernetesName, {
    fallback: "keda-gpu-scaler",
    help: "An external trigger is checked when its scalerAddress contains this",
  }),
  all: flag(present, { help: "Check every external trigger, whatever its scalerAddress" }),
  namespace: flag(kubernetesName, {
    help: "Namespace of objects that do not say it; without it their endpoints are not checked",
  }),
  "allow-scope": flag(choices("SCOPES", scopes), {
    fallback: scopes.join(","),
    help: "As serve has it: other scopes are errors",
  }),
  "allow-endpoint": flag(hostPatterns, {
    help: "As serve has it: other hosts are errors; without it, hosts that serve would have to allow are warnings",
  }),
  output: flag(choice(["text", "json"]), {
    fallback: "text",
    help: "text has a line FILE:LINE: for each finding",
  }),
} as const;
type ValidateFlags = FlagValues<typeof validateFlags>;

export const validateCommand = command("validate", {
  summary: "Check the triggers in YAML as the server would, and warn of what cannot work",
  flags: validateFlags,
  operands: {
    value: "FILE",
    rule: "must be a YAML file, or - for standard input",
    help: "YAML with any documents; ScaledObjects and ScaledJobs are checked; - for standard input",
    least: 1,
    most: validateFilesMax,
    parse: (text) => text || undefined,
    completion: "file",
  },
  examples: [
    "keda-gpu-scaler validate deploy/examples/profiles/*.yaml",
    "helm template chart | keda-gpu-scaler validate --namespace inference -",
  ],
  run: async ({ flags, operands }, context) => {
    const rules = await rulesOf(flags);
    const files: FileFindings[] = [];
    for (const path of operands) files.push(await checkFile(path, rules, context));
    context.stdout(flags.output === "json" ? jsonOf(files) : textOf(files));
    const hasError = files.some(({ findings }) =>
      findings.some(({ severity }) => severity === "error"),
    );
    return hasError ? exitCodes.failed : exitCodes.done;
  },
});

type Rules = Omit<ObjectCheck, "kind">;

async function rulesOf(flags: ValidateFlags): Promise<Rules> {
  const { all, service, namespace: implied } = flags;
  const { "allow-scope": allowedScopes, "allow-endpoint": allow } = flags;
  return {
    profiles: await profileTable(flags.profiles),
    isOwn: (address) => all === true || address.includes(service),
    refusals: (trigger, { metadata, namespace = implied }) => [
      ...refused("scope", () => {
        const fault = scopeFault(trigger, true, allowedScopes);
        if (fault !== undefined) throw fault;
      }),
      ...endpointRefusals(trigger, { metadata, namespace }, allow),
    ],
  };
}

/** Whether a Service is there and where its name leads is known in the cluster alone. */
function endpointRefusals(
  { endpoint }: Trigger,
  { metadata, namespace }: TriggerSource,
  allow: readonly string[] | undefined,
): readonly KeyProblem[] {
  if (endpoint === undefined || namespace === undefined) return [];
  const key = endpointNames.find((name) => Object.hasOwn(metadata, name)) ?? "endpoint";
  const rules = { allow: allow ?? [], clusterDomain };
  const code = allow === undefined ? "endpoint-not-allowed" : undefined;
  return refused(key, () => allowedUrl(endpoint, namespace, rules)).map((one) => ({
    ...one,
    code,
  }));
}
/** Of nearly every cluster; where it is another, a name without it is right everywhere. */
const clusterDomain = "cluster.local";

function refused(key: string, run: () => unknown): readonly KeyProblem[] {
  try {
    run();
    return [];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return [{ key, problem: `${key}: ${error.message}` }];
  }
}

async function checkFile(
  path: string,
  rules: Rules,
  { stdin }: CommandContext,
): Promise<FileFindings> {
  const name = path === "-" ? "stdin" : path;
  const content =
    path === "-"
      ? await streamText(stdin, validateFileBytesMax)
      : await contentOf(path, validateFileBytesMax);
  if (content.problems !== undefined) {
    const findings = content.problems.map(
      (message) => ({ severity: "error", line: 1, column: 1, message }) as const,
    );
    return { name, findings, objects: 0, ownTriggers: 0, otherTriggers: 0, otherDocuments: 0 };
  }
  return checkText(name, content.value, rules);
}

/** Each document by itself: a broken one spoils no other. */
function checkText(name: string, text: string, rules: Rules): FileFindings {
  const findings: FileFindings["findings"][number][] = [];
  let [objects, ownTriggers, otherTriggers, otherDocuments] = [0, 0, 0, 0];
  for (const document of parseYamlDocuments(text)) {
    if (document.problems !== undefined) {
      const [{ problem, ...place }] = document.problems;
      findings.push({ severity: "error", ...place, message: problem });
      continue;
    }
    for (const { kind, value, within } of objectsOf(document)) {
      const known = scaledKinds.find((scaled) => scaled === kind);
      if (known === undefined) {
        otherDocuments += 1;
        continue;
      }
      const result = checkObject(value, { ...rules, kind: known });
      objects += 1;
      ownTriggers += result.ownTriggers;
      otherTriggers += result.otherTriggers;
      const object = `${known}/${objectName(value)}`;
      for (const { path, part, ...finding } of result.findings)
        findings.push({ object, ...finding, ...document.placeOf([...within, ...path], part) });
    }
  }
  const inOrder = findings.toSorted((one, other) => one.line - other.line);
  return { name, findings: inOrder, objects, ownTriggers, otherTriggers, otherDocuments };
}

interface FoundObject {
  readonly kind: unknown;
  readonly value: unknown;
  readonly within: YamlPath;
}

/** A document is an object, or a `List` of them, as `kubectl get --output yaml` prints it. */
function objectsOf({ value }: LocatedYaml): readonly FoundObject[] {
  const found = (object: unknown, within: YamlPath): FoundObject => {
    if (!isMapping(object)) return { kind: undefined, value: object, within };
    const { kind, apiVersion } = object;
    // Others have kinds of these names too.
    const isKeda = typeof apiVersion !== "string" || apiVersion.startsWith(kedaGroup);
    return { kind: isKeda ? kind : undefined, value: object, within };
  };
  if (!(isMapping(value) && value["kind"] === "List" && Array.isArray(value["items"])))
    return [found(value, [])];
  return value["items"].map((item: unknown, index) => found(item, ["items", index]));
}
const kedaGroup = kedaApiVersion.replace(/[^/]*$/, "");

function objectName(value: unknown): string {
  const metadata = isMapping(value) ? value["metadata"] : undefined;
  const name = isMapping(metadata) ? metadata["name"] : undefined;
  return typeof name === "string" ? name : "?";
}
