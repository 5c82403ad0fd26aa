/**
 * Rules among the keys that say how engines are reached: which scheme, which credentials, and whose
 * certificates are believed.
 *
 * @module
 */
import type { TriggerKeyName } from "./keys.ts";
import { endpointNames, type ResolvedMetadata } from "./resolve.ts";

export const tlsKeys = [
  "engineCaFile",
  "engineServerName",
] as const satisfies readonly TriggerKeyName[];

/** Keys that have no meaning where no engine is read. */
export const accessKeys = [
  "engineScheme",
  "engineTokenFile",
  "engineBasicAuthFile",
  ...tlsKeys,
] as const satisfies readonly TriggerKeyName[];

export function accessProblems(metadata: ResolvedMetadata): readonly string[] {
  const { has } = metadata;
  const credentials =
    has("engineTokenFile") && has("engineBasicAuthFile")
      ? [
          "engineBasicAuthFile: must not be given beside engineTokenFile; an engine is shown one of them",
        ]
      : [];
  return [...credentials, ...plainTextProblems(metadata)];
}

/** Without TLS there is no certificate to verify, and who names an authority expects that it is. */
function plainTextProblems({ values, has }: ResolvedMetadata): readonly string[] {
  const endpoint = endpointNames.find(has);
  // A URL or scheme that breaks its own rule may have been meant as https.
  if (endpoint === undefined ? has("engineScheme") && !values.engineScheme : !values[endpoint])
    return [];
  const url = endpoint && values[endpoint];
  const isTls = url === undefined ? values.engineScheme === "https" : /^https:/i.test(url);
  if (isTls) return [];
  const remedy =
    endpoint === undefined ? "write engineScheme https" : `write an https URL as ${endpoint}`;
  return tlsKeys
    .filter(has)
    .map(
      (name) =>
        `${name}: only has a meaning over TLS, and this is http; ${remedy}, or leave it out`,
    );
}
