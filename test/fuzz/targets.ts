import type { Target } from "./target.ts";
import {
  documentsTarget,
  mockTarget,
  profilesTarget,
  replicaTarget,
  scaledObjectFileTarget,
} from "./targets/files.ts";
import { http2Target } from "./targets/http2.ts";
import { informerTarget } from "./targets/informer.ts";
import { callTarget } from "./targets/keda.ts";
import { deviceIdTarget, kubeletTarget } from "./targets/kubelet.ts";
import {
  podTarget,
  quantityTarget,
  scaledTarget,
  selectorTarget,
  sliceTarget,
} from "./targets/kubernetes.ts";
import {
  enginePageTarget,
  expositionTarget,
  jsonPageTarget,
  numberTarget,
} from "./targets/page.ts";
import { snapshotTarget } from "./targets/telemetry.ts";
import { ruleTarget, triggerTarget } from "./targets/trigger.ts";

export const targets: readonly Target[] = [
  triggerTarget,
  ruleTarget,
  callTarget,
  snapshotTarget,
  http2Target,
  expositionTarget,
  enginePageTarget,
  jsonPageTarget,
  numberTarget,
  kubeletTarget,
  deviceIdTarget,
  scaledTarget,
  podTarget,
  sliceTarget,
  selectorTarget,
  quantityTarget,
  informerTarget,
  profilesTarget,
  mockTarget,
  replicaTarget,
  scaledObjectFileTarget,
  documentsTarget,
];
