import type { Activity, Answer, Answerer, WorkloadRef } from "#answer/answer.ts";
import { type Clock, systemClock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { Facts, LogLevel } from "#core/log.ts";
import { ExternalScaler } from "#gen/externalscaler/externalscaler_pb.ts";
import { externalScaler } from "#keda/external-scaler.ts";
import type { FinishedCall } from "#rpc/guard.ts";
import {
  type GrpcLimits,
  type GrpcServer,
  grpcLimits,
  registration,
  startGrpcServer,
} from "#rpc/server.ts";
import type { ServerTls } from "#rpc/tls.ts";
import type { Trigger } from "#trigger/trigger.ts";

const trigger: Trigger = {
  metric: "gpu_utilization",
  target: 80,
  activationMetric: "gpu_utilization",
  activationThreshold: 0,
  alwaysActive: false,
  gpuIndex: -1,
  aggregation: "max",
  windowSeconds: 0,
  pollIntervalSeconds: 3_600,
  metricName: "gpu-utilization",
};

const explanation = { metric: trigger.metric, scope: "node" as const, rule: "", devices: [] };

/** An answerer whose answers the test sets; each `set` also says that something changed. */
function heldAnswerer() {
  const listeners = new Set<() => void>();
  const refs: WorkloadRef[] = [];
  let value = (): number => 0;
  let active = (): boolean => false;
  const set = (next: { value?: () => number; active?: () => boolean }) => {
    value = next.value ?? value;
    active = next.active ?? active;
    for (const listener of [...listeners]) listener();
  };
  const answerer: Answerer = {
    value: (ref): Answer => {
      refs.push(ref);
      return { value: value(), explanation };
    },
    activity: (ref): Activity => {
      refs.push(ref);
      return { active: active(), explanation };
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    watchActivity: () => () => undefined,
  };
  return { answerer, set, refs, listeners };
}

/** Metadata that this reads: `targetValue`, `pollIntervalSeconds`, `metricName`; else it refuses. */
function parse(metadata: Readonly<Record<string, string>>): Trigger {
  const { targetValue = "80", pollIntervalSeconds = "3600", metricName, ...rest } = metadata;
  const problems = Object.keys(rest).map((key) => `${key}: unknown key`);
  if (problems.length > 0)
    throw new Fault("trigger-invalid", `Cannot use trigger metadata: ${problems.join("; ")}`, {
      problems,
    });
  return {
    ...trigger,
    target: Number(targetValue),
    pollIntervalSeconds: Number(pollIntervalSeconds),
    metricName: metricName ?? trigger.metricName,
  };
}

interface LogLine {
  readonly level: LogLevel;
  readonly event: string;
  readonly facts: Facts | undefined;
}

/** A server with everything around it held by the test. */
interface HeldServer extends AsyncDisposable, ReturnType<typeof heldAnswerer> {
  readonly server: GrpcServer;
  readonly address: string;
  readonly setServing: (serving: boolean) => void;
  readonly logged: readonly LogLine[];
  readonly finished: readonly FinishedCall[];
  readonly open: { readonly streams: number; readonly connections: number };
}

interface HeldServerOptions extends Partial<GrpcLimits> {
  readonly port?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly pushSpacingMs?: number;
  readonly tls?: ServerTls;
}

export async function heldServer({
  port = 0,
  clock = systemClock(),
  random = () => 0.5,
  pushSpacingMs = 200,
  tls,
  ...limits
}: HeldServerOptions = {}): Promise<HeldServer> {
  const held = heldAnswerer();
  const logged: LogLine[] = [];
  const finished: FinishedCall[] = [];
  const open = { streams: 0, connections: 0 };
  const healthListeners = new Set<() => void>();
  let serving = true;
  const server = await startGrpcServer({
    host: "127.0.0.1",
    port,
    services: [
      registration(
        ExternalScaler,
        externalScaler({
          answerer: held.answerer,
          parse,
          pushSpacingMs,
          clock,
          onRefused: () => {},
        }),
      ),
    ],
    health: {
      serving: () => serving,
      subscribe: (listener) => {
        healthListeners.add(listener);
        return () => healthListeners.delete(listener);
      },
    },
    clock,
    log: (level, event, facts) => logged.push({ level, event, facts }),
    meter: {
      finished: (call) => finished.push(call),
      openStreams: (count) => {
        open.streams = count;
      },
      openConnections: (count) => {
        open.connections = count;
      },
    },
    limits: { ...grpcLimits, shutdownMs: 1_000, streamsPerPeerMax: 1, ...limits },
    random,
    tls,
  });
  return {
    ...held,
    server,
    address: `127.0.0.1:${server.port}`,
    setServing: (next) => {
      serving = next;
      for (const listener of [...healthListeners]) listener();
    },
    logged,
    finished,
    open,
    [Symbol.asyncDispose]: server.stop,
  };
}

/** Waits until something holds, by looking again after each turn of the loop. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const startMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - startMs > 10_000) throw new Error(`It never held: ${what}`);
    await Bun.sleep(5);
  }
}
