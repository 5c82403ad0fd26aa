/**
 * Numbers that may be constants outside `src/core/limits.ts`: nobody chose them, so nobody can
 * change them.
 *
 * @module
 */

/** The name of each constant or property, and whose number it is. */
export const fixedNumbers: Readonly<Record<string, string>> = {
  bytesPerGib: "conversion",
  bytesPerMib: "conversion",
  kilobytesPerMib: "conversion",
  megabytesPerKib: "conversion",
  megabytesPerMib: "conversion",
  second: "conversion",
  twoTo32: "conversion",
  cooldownDefaultSeconds: "KEDA: the default of cooldownPeriod",
  deviationsOfP95: "the standard normal distribution",
  encodingBytes: "amdgpu: what an attribute of a metrics table is, before its values",
  exactDigits: "IEEE 754: a double holds 15 decimal digits exactly",
  functionNotFound: "NVML: NVML_ERROR_FUNCTION_NOT_FOUND",
  headerBytes: "gRPC: a flag and a length before each message",
  hpaSyncMs: "the HPA's --horizontal-pod-autoscaler-sync-period",
  hpaTolerance: "the HPA's default tolerance",
  insufficientSize: "NVML: NVML_ERROR_INSUFFICIENT_SIZE",
  initNoGpus: "NVML: NVML_INIT_FLAG_NO_GPUS",
  invalidArgument: "NVML: NVML_ERROR_INVALID_ARGUMENT",
  keysPerDevice: "NodeTelemetry: the numbers of readings on the wire are built with it",
  maxReplicasDefault: "KEDA: the default of maxReplicaCount",
  metricsRoom: "NVML: length of the array in nvmlGpmMetricsGet_t",
  millijoulesPerUnit: "conversion",
  neverReadyMs: "the HPA's --horizontal-pod-autoscaler-initial-readiness-delay",
  noData: "NVML: NVML_ERROR_NO_DATA",
  nothingMore: "NVML: NVML_ERROR_TIMEOUT",
  notSupported: "NVML: NVML_ERROR_NOT_SUPPORTED",
  partitionsMax: "amdgpu: MAX_XCP",
  performanceStateUnknown: "NVML: NVML_PSTATE_UNKNOWN",
  policyPeriodSecondsMax: "Kubernetes: the longest periodSeconds of a scaling policy",
  pollingDefaultSeconds: "KEDA: the default of pollingInterval",
  precision: "IEEE 754: far above the rounding of a sum of doubles",
  processEntryBytesMost: "NVML: size of nvmlProcessDetail_v1_t",
  processIdMost: "Linux: PID_MAX_LIMIT",
  sizeBytes: "the size of a C type",
  structVersion: "NVML: version of nvmlGpmMetricsGet_t",
  tableHeaderBytes: "amdgpu: the size of struct metrics_table_header",
  textBytes: "NVML: the longest text it writes, NVML_DEVICE_UUID_V2_BUFFER_SIZE",
  untouched: "NVML: no return code is negative",
};
