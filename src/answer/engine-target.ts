/**
 * Which target a trigger means: where it is, what it is shown, and what it has to show.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import type { ScrapeTarget } from "#engine/scrape/target.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { EngineEndpoint, EngineReader, MountedFileKey } from "./engine-reader.ts";

type MountedFiles = Pick<EngineReader, "mountedFile">;
type PodRules = Pick<EngineReader, "mountedFile" | "podRefusal">;

/** Port names that people give to a page of metrics, in whatever words around them. */
const metricsPort = /metric|prom/;

/** Where a pod's engine is, or why it is not asked; `undefined` while the pod has no address. */
export function podTarget(
  pod: Pod,
  trigger: Trigger,
  engines: PodRules,
): ScrapeTarget | Fault | undefined {
  if (pod.ip === undefined) return undefined;
  const declared = pod.containers.flatMap(({ ports }) => ports);
  const likely = declared.filter(({ name = "" }) => metricsPort.test(name));
  const ports = [...new Set([...likely, ...declared].map(({ port }) => port))];
  const { namespace, uid: owner, name, onHostNetwork } = pod;
  const { engine, enginePort: port, enginePath: path, engineScheme, engineJson: json } = trigger;
  const refusal = engines.podRefusal({ name, ports, onHostNetwork }, { engine, port });
  if (refusal !== undefined) return refusal;
  const at = { podAddress: pod.ip, namespace, ports, owner };
  const serverName = engineScheme === "https" ? pod.ip : undefined;
  const access = accessOf({ serverName }, namespace, trigger, engines);
  return { at, engine, port, path, json, ...access };
}

/**
 * A URL says the port and the path itself.
 *
 * @throws {Fault} `endpoint-refused` where credentials would leave their namespace.
 */
export function endpointTarget(
  { at, port, path, isOwn, serverName }: EngineEndpoint,
  namespace: string,
  trigger: Trigger,
  files: MountedFiles,
): ScrapeTarget {
  const { engine, endpoint = "", engineJson: json } = trigger;
  const credential = credentialKeys.find((key) => trigger[key] !== undefined);
  if (credential !== undefined && !isOwn) throw credentialRefused(endpoint, namespace, credential);
  const access = accessOf({ serverName }, namespace, trigger, files);
  return { at, engine, port, path, json, ...access };
}

const credentialKeys = ["engineTokenFile", "engineBasicAuthFile"] as const;
type CredentialKey = (typeof credentialKeys)[number];

function credentialRefused(endpoint: string, namespace: string, key: CredentialKey): Fault {
  const what = key === "engineTokenFile" ? "a bearer token" : "a password";
  const rule =
    `${what} of namespace ${namespace} goes to pods and Services of that namespace only; ` +
    `put such a Service before the host, or leave ${key} out`;
  return new Fault("endpoint-refused", `Cannot ask ${endpoint} with ${what}: ${rule}`, {
    endpoint,
    rule,
  });
}

/**
 * What a target is shown, and what it has to show.
 *
 * @param serverName Of what is asked over TLS.
 */
function accessOf(
  { serverName }: Pick<EngineEndpoint, "serverName">,
  namespace: string,
  trigger: Trigger,
  { mountedFile }: MountedFiles,
): Pick<ScrapeTarget, "tokenFile" | "basicAuthFile" | "tls"> {
  const pathOf = (key: MountedFileKey): string | undefined => {
    const name = trigger[key];
    return name === undefined ? undefined : mountedFile(key, namespace, name);
  };
  const tls = serverName !== undefined && {
    serverName: trigger.engineServerName ?? serverName,
    caFile: pathOf("engineCaFile"),
  };
  return {
    tokenFile: pathOf("engineTokenFile"),
    basicAuthFile: pathOf("engineBasicAuthFile"),
    tls: tls || undefined,
  };
}
