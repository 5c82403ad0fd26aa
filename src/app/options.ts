/**
 * What a process is told to do, and what it is given to do it with. Where that comes from, such as
 * flags and the environment, is the caller's business.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import type { Log } from "#core/log.ts";
import type { CollectorOptions } from "#device/collector.ts";
import type { Scope } from "#trigger/trigger.ts";

export const roles = ["all", "agent", "scaler"] as const;
/** `agent` reads a node's devices, `scaler` follows agents and answers KEDA, `all` does both. */
export type Role = (typeof roles)[number];

export interface ServeOptions extends NodeOptions, ScalerOptions {
  readonly role: Role;
  /** The IP address that both ports listen on, or `localhost`. */
  readonly bind: string;
  /** 0 picks a free one. */
  readonly grpcPort: number;
  /** 0 picks a free one. */
  readonly httpPort: number;
  /** Absent: the gRPC port is in plain text. */
  readonly tls?: TlsOptions | undefined;
  /** Age at which a client is asked to reconnect. */
  readonly connectionAgeMs: number;
  /** Open push streams of the process. */
  readonly streamsMax: number;
  /** Whether the gRPC services are described to whoever asks. */
  readonly hasReflection: boolean;
  /** Whether the HTTP port shows the status, as a page and as JSON. */
  readonly hasPage: boolean;
}

/** Paths of PEM files, which are read again when they change. */
export interface TlsOptions {
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities of clients, and of the agents that a scaler dials; absent: neither is verified. */
  readonly clientCaFile?: string | undefined;
  readonly clientNames: readonly string[];
}

/** For a process that reads the devices of its own node. */
export interface NodeOptions {
  readonly nodeName: string;
  readonly collector: CollectorOptions;
  readonly sampleIntervalMs: number;
  /** The process ends when the devices gave nothing for this long. */
  readonly deviceWatchdogMs: number;
  /** The kubelet's; absent: its usual path where there is a kubelet. */
  readonly podResourcesSocket?: string | undefined;
  /**
   * The node's own procfs, by which the processes of devices that pods share are told apart; absent: they are
   * not.
   */
  readonly procRoot?: string | undefined;
}

/** For a process that answers KEDA. */
export interface ScalerOptions {
  /** Path of a file; it goes before `kubernetesAddress`. */
  readonly kubeconfig?: string | undefined;
  /** Where a pod finds the Kubernetes API; absent outside a cluster. */
  readonly kubernetesAddress?: { readonly host: string; readonly port: string } | undefined;
  /** Of this scaler and its agents; absent: that of the pod. */
  readonly namespace?: string | undefined;
  /** `host:port,…` or `dns:///name:port`; absent: the agents are those of `agentService`. */
  readonly agents?: string | undefined;
  /** Name of the agents' headless Service. */
  readonly agentService: string;
  /** Name of the Service by which ScaledObjects name this scaler. */
  readonly service: string;
  /** Path of the YAML file with custom profiles. */
  readonly profilesFile?: string | undefined;
  /** Hosts that a trigger's endpoint may name beside the Services of its own namespace. */
  readonly allowedEndpoints: readonly string[];
  /** Scopes that triggers may ask in; at least one. */
  readonly allowedScopes: readonly Scope[];
  /** Whether pods on their node's network are asked for metrics. */
  readonly allowHostNetwork: boolean;
  /** Whether pods' deletion costs are written, so that a scale-in takes the idlest. */
  readonly deletionCost: boolean;
  /** Whether events are written of what is wrong with ScaledObjects and ScaledJobs. */
  readonly hasEvents: boolean;
  /** Has one folder per namespace, with the bearer tokens and passwords of that namespace. */
  readonly engineTokenDirectory?: string | undefined;
  /** The same with the authorities of its engines' certificates. */
  readonly engineCaDirectory?: string | undefined;
}

/** What everything in the process is given. */
export interface Runtime {
  readonly clock: Clock;
  readonly log: Log;
  /** From 0 to below 1: spreads what would otherwise happen at once. */
  readonly random: () => number;
}
