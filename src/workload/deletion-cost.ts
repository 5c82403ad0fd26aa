/**
 * The annotation by which a ReplicaSet chooses among its pods when it has too many: of those that are
 * alike in what goes before (assigned, running, ready) the lowest cost goes first.
 *
 * Whether a cost is ours is the API server's word: it keeps, beside every field, who applied it last.
 * So it holds over restarts and for every replica of the scaler, and whoever changes the annotation
 * makes it theirs.
 *
 * Source: kubernetes, pkg/controller/controller_utils.go, `ActivePodsWithRanks`, and
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/
 *
 * @module
 */
import { fieldManager } from "#kubernetes/client.ts";

export const deletionCostAnnotation = "controller.kubernetes.io/pod-deletion-cost";

export interface DeletionCost {
  /** The API server takes whole numbers of 32 bits alone. */
  readonly value: number;
  /** Whether this scaler set it, and nobody else since. */
  readonly isOwn: boolean;
}

/** The metadata of an object, as far as it says what its annotations are and whose. */
export interface ManagedMetadata {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly managedFields?: readonly {
    readonly manager?: string;
    readonly fieldsV1?: {
      readonly "f:metadata"?: { readonly "f:annotations"?: Readonly<Record<string, unknown>> };
    };
  }[];
}

export function deletionCostOf({
  annotations = {},
  managedFields = [],
}: ManagedMetadata): DeletionCost | undefined {
  const text = annotations[deletionCostAnnotation];
  if (text === undefined) return undefined;
  const owners = managedFields.filter(
    ({ fieldsV1 }) =>
      fieldsV1?.["f:metadata"]?.["f:annotations"]?.[`f:${deletionCostAnnotation}`] !== undefined,
  );
  const isOwn = owners.length > 0 && owners.every(({ manager }) => manager === fieldManager);
  return { value: Number.parseInt(text, 10), isOwn };
}
