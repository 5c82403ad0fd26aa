import { Fault } from "#core/fault.ts";
import { isLabel, isObjectName } from "#core/kubernetes-names.ts";
import { labelCharsMax, objectNameCharsMax } from "#core/limits.ts";
import { quoted } from "#core/quoted.ts";
import type { ScaledObjectRef } from "#gen/externalscaler/externalscaler_pb.ts";

/**
 * Holds what a call says about its ScaledObject to what Kubernetes lets one be named, before anything
 * is looked up or remembered by it. A call by hand may leave either name out.
 *
 * @throws {Fault} `name-invalid`.
 */
export function checkObjectNames({
  namespace,
  name,
}: Pick<ScaledObjectRef, "namespace" | "name">): void {
  if (namespace !== "" && !isLabel(namespace))
    throw invalid(
      "namespace",
      namespace,
      `a namespace has lower case, digits and -, at most ${labelCharsMax} characters`,
    );
  if (name !== "" && !isObjectName(name))
    throw invalid(
      "name",
      name,
      `a ScaledObject's name has lower case, digits, - and ., at most ${objectNameCharsMax} characters`,
    );
}

function invalid(field: string, text: string, rule: string): Fault {
  return new Fault(
    "name-invalid",
    `Cannot answer for ${field} ${quoted(text)}: ${rule}; send that of the ScaledObject`,
    { field, rule },
  );
}
