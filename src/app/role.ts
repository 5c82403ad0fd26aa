import type { Listeners } from "#core/listeners.ts";
import type { TlsSource } from "#core/tls.ts";
import type { MetricsOptions } from "#observe/metrics.ts";
import type { StatusSource } from "#observe/status.ts";
import type { Registration } from "#rpc/server.ts";
import type { Runtime } from "./options.ts";

/** What a role is started with. */
export interface RoleContext extends Runtime {
  /** Everything that an answer or the readiness may depend on is notified here. */
  readonly changes: Listeners;
  /** What it shows agents; absent where it speaks in plain text. */
  readonly credentials: TlsSource | undefined;
  /** Called after each pass over the devices that gave readings. */
  readonly onCollection: (durationMs: number) => void;
  /** Called when the devices are out of reach until the process is started again. */
  readonly onDead: () => void;
}

/** A role at work. */
export interface RunningRole {
  /** What it serves on the gRPC port. */
  readonly service: Registration;
  /** What it shows on `/metrics`. */
  readonly metrics: Pick<
    MetricsOptions,
    "node" | "fleet" | "engines" | "triggers" | "deletionCosts" | "deviceUse"
  >;
  /** What it shows people of its devices and decisions. */
  readonly status: StatusSource;
  /** Why it cannot answer now, for people; `undefined` when it can. */
  readonly unready: () => string | undefined;
  readonly stop: () => Promise<void>;
}
