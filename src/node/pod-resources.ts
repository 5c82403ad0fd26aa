/**
 * Which devices the kubelet gave to which containers, listed over its pod-resources socket.
 *
 * Every call gets a connection of its own: a kubelet that restarts puts a new socket at the same
 * path, and a connection of ten seconds ago may lead to nobody. The last good answer is kept with
 * its time, because an answer that is seconds old is nearly always still true and an absent one
 * would take all devices from all workloads.
 *
 * Source: https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins
 *
 * @module
 */
import { connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { Clock } from "#core/clock.ts";
import { messageOf } from "#core/fault.ts";
import { podResourcesBytesMax, podResourcesCallMs, podResourcesPollMs } from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import {
  type ListPodResourcesResponse,
  PodResourcesLister,
} from "#gen/podresources/v1/podresources_pb.ts";

/** One device id that a container was given. */
export interface DeviceAllocation {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** The extended resource (`nvidia.com/gpu`), or the DRA driver (`gpu.nvidia.com`). */
  readonly resource: string;
  /** As the device plugin or the DRA driver wrote it. */
  readonly id: string;
  /** The `namespace/name` of the ResourceClaim that it came by; absent for a device plugin's. */
  readonly resourceClaim?: string | undefined;
  /** Which part, when a DRA device is divided. */
  readonly shareId?: string | undefined;
}

export interface Allocations {
  readonly allocations: readonly DeviceAllocation[];
  /** On the monotonic clock. */
  readonly readAtMs: number;
}

export interface PodResources {
  /** The last good answer; `undefined` while the kubelet has never given one. */
  readonly latest: () => Allocations | undefined;
  /** Lists now. While a call is under way, lists once more after it. */
  readonly refresh: () => void;
  /** Runs `listener` after every good answer; returns the way to stop it. */
  readonly subscribe: (listener: () => void) => () => void;
  readonly close: () => void;
}

export interface PodResourcesOptions {
  readonly socketPath: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly pollMs?: number;
  /** For one call, connecting included. */
  readonly timeoutMs?: number;
}

/** Where the kubelet listens unless its root folder was moved. */
export const podResourcesSocket = "/var/lib/kubelet/pod-resources/kubelet.sock";
export function podResources({
  socketPath,
  clock,
  log,
  pollMs = podResourcesPollMs,
  timeoutMs = podResourcesCallMs,
}: PodResourcesOptions): PodResources {
  const changes = listeners();
  const closing = new AbortController();
  let latest: Allocations | undefined;
  let isListing = false;
  let isListDue = false;
  let failing = false;

  async function listOnce() {
    try {
      const allocations = allocationsOf(await list(socketPath, timeoutMs, closing.signal));
      latest = { allocations, readAtMs: clock.monotonicMs() };
      if (failing) log("info", "pod resources are back", { socketPath });
      failing = false;
      changes.notify();
    } catch (error) {
      if (closing.signal.aborted || failing) return;
      failing = true;
      const ageMs = latest && Math.round(clock.monotonicMs() - latest.readAtMs);
      log("warn", "pod resources cannot be read", {
        problem: `Cannot list the pods' devices: ${socketPath}: ${messageOf(error)}; ${advice(error)}`,
        lastAnswerAgeMs: ageMs,
      });
    }
  }
  async function listWhileDue() {
    isListing = true;
    do {
      isListDue = false;
      await listOnce();
    } while (isListDue && !closing.signal.aborted);
    isListing = false;
  }
  const refresh = () => {
    if (closing.signal.aborted) return;
    if (isListing) isListDue = true;
    else void listWhileDue();
  };

  const stopPolling = clock.every(pollMs, refresh);
  refresh();
  return {
    latest: () => latest,
    refresh,
    subscribe: changes.subscribe,
    close: () => {
      stopPolling();
      closing.abort();
    },
  };
}

async function list(socketPath: string, timeoutMs: number, signal: AbortSignal) {
  const baseUrl = "http://localhost";
  const sessionManager = new Http2SessionManager(baseUrl, undefined, {
    createConnection: () => connect(socketPath),
  });
  try {
    const transport = createGrpcTransport({
      baseUrl,
      sessionManager,
      readMaxBytes: podResourcesBytesMax,
    });
    return await createClient(PodResourcesLister, transport).list({}, { timeoutMs, signal });
  } finally {
    sessionManager.abort();
  }
}

export function allocationsOf({
  podResources: pods,
}: ListPodResourcesResponse): readonly DeviceAllocation[] {
  return pods.flatMap(({ namespace, name: pod, containers }) =>
    containers.flatMap(({ name: container, devices, dynamicResources }) => {
      const holder = { namespace, pod, container };
      const plugin = devices.flatMap(({ resourceName, deviceIds }) =>
        deviceIds.map((id) => ({ ...holder, resource: resourceName, id })),
      );
      const dynamic = dynamicResources.flatMap(({ claimNamespace, claimName, claimResources }) =>
        claimResources.map(({ driverName, deviceName, shareId }) => ({
          ...holder,
          resource: driverName,
          id: deviceName,
          resourceClaim: `${claimNamespace}/${claimName}`,
          shareId,
        })),
      );
      return [...plugin, ...dynamic];
    }),
  );
}

function advice(error: unknown): string {
  const text = messageOf(error);
  if (/EACCES|permission/i.test(text)) return "run the agent as uid 0, the socket's owner";
  if (/ENOENT|not found|no such file/i.test(text))
    return "mount the folder of the kubelet's socket into the agent, the folder and not the socket";
  return "see whether the kubelet runs; the last answer stays in use";
}
