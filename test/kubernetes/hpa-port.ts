/**
 * The HPA's own arithmetic once more, written after its source in whole thousandths, so that the
 * code under test is not its own judge. As KEDA sends them: the target by "%.3f", the value cut off.
 */
export function hpaReplicas(
  value: number,
  target: number,
  side: {
    metricType: string;
    specReplicas: number;
    statusReplicas: number;
    readyPodCount: number;
    tolerance?: { up: number; down: number };
  },
): number {
  const usage = BigInt(Math.trunc(value * 1000));
  const targetUsage = BigInt(target.toFixed(3).replace(".", ""));
  const { metricType, specReplicas, statusReplicas, readyPodCount } = side;
  const { up, down } = side.tolerance ?? { up: 0.1, down: 0.1 };
  const isTolerated = (usageRatio: number) => usageRatio >= 1 - down && usageRatio <= 1 + up;
  if (metricType === "AverageValue") {
    const usageRatio = Number(usage) / (Number(targetUsage) * statusReplicas);
    if (isTolerated(usageRatio)) return statusReplicas;
    return Number((usage + targetUsage - 1n) / targetUsage);
  }
  const usageRatio = Number(usage) / Number(targetUsage);
  if (specReplicas === 0) return Math.ceil(usageRatio);
  if (isTolerated(usageRatio)) return specReplicas;
  return Math.ceil(usageRatio * readyPodCount);
}
