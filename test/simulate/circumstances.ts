/**
 * Circumstances in which the scaler is known to answer wrongly. The properties leave them out while
 * their switch is off; who repairs one turns its switch on, and the properties judge the repair.
 * `bun bench/circumstances.ts` shows what happens in each.
 */
export const circumstances = {
  /** A rolling update: surge pods are counted as replicas that are asked for, and kept. */
  rollingUpdate: false,
  /**
   * A StatefulSet that ends one pod after the other has more pods than `spec.replicas` for long: they
   * are kept while one is missing, so that the spec is raised to them again.
   */
  orderedScaleIn: false,
  /** No pod counts while some are asked for, because all are being replaced: 0 and inactive. */
  recreate: false,
  /** No pod counts while some are asked for, because the quota lets none be created. */
  exhaustedQuota: false,
  /** A time-sliced device is counted whole for each of its holders. */
  sharedDevices: false,
  /**
   * A replica that is ready and not read yet, under `Value`: the HPA multiplies the mean of the
   * others by it too.
   */
  missingUnderValue: false,
  /** A latency under `Value` whose engines have few samples: its activity errs, and no value is used. */
  fewSamples: false,
  /** One engine does not export what the others do, and so all fail. */
  misfitEngine: false,
  /** The replica of the scaler that was not asked has begun no window. */
  windowAfterSwitch: false,
  /** The replica of the scaler that was not asked counts the grace from when it is asked. */
  missingAfterSwitch: false,
  /** Tolerances of `behavior` are not those that a value is held by. */
  ownTolerance: false,
} as const satisfies Record<string, boolean>;
