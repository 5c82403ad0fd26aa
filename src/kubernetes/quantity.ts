/**
 * A quantity as Kubernetes writes it: `0.05`, `50m`, `5e-2`.
 *
 * Source: kubernetes, staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go.
 *
 * @module
 */
/** Decimal suffixes; those of bytes and of more than a kilo are of no use to a share. */
const factors: Readonly<Record<string, number>> = { "": 1, n: 1e-9, u: 1e-6, m: 1e-3, k: 1e3 };

/** @returns `undefined` for what is absent or is no such quantity. */
export function quantityOf(raw: unknown): number | undefined {
  const found = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)([numk]?)$/.exec(
    String(raw ?? ""),
  );
  const [, digits, suffix = ""] = found ?? [];
  const factor = factors[suffix];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}
