/**
 * The HPA's own arithmetic once more, written after its source in whole thousandths, so that the
 * code under test is not its own judge. As KEDA sends them: the target by "%.3f", the value cut off.
 */
export function hpaReplicas(
  value: number,
  target: number,
  side: { metricType: string; statusReplicas: number; readyPodCount: number },
): number {
  const usage = BigInt(Math.trunc(value * 1000));
  const targetUsage = BigInt(target.toFixed(3).replace(".", ""));
  const { metricType, statusReplicas, readyPodCount } = side;
  if (metricType === "AverageValue") {
    const usageRatio = Number(usage) / (Number(targetUsage) * statusReplicas);
    if (usageRatio >= 0.9 && usageRatio <= 1.1) return statusReplicas;
    return Number((usage + targetUsage - 1n) / targetUsage);
  }
  const usageRatio = Number(usage) / Number(targetUsage);
  if (statusReplicas === 0) return Math.ceil(usageRatio);
  if (usageRatio >= 0.9 && usageRatio <= 1.1) return statusReplicas;
  return Math.ceil(usageRatio * readyPodCount);
}
