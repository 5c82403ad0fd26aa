/**
 * Memory, CPU and event-loop lag of the process; the first three under the names that every
 * Prometheus client uses.
 *
 * @module
 */
import type { Registry } from "prom-client";
import type { Cancel, Clock } from "#core/clock.ts";
import { eventLoopCheckMs } from "#core/limits.ts";
import { counter, gauge } from "./read-metric.ts";

/** @returns The way to stop the timer behind the lag. */
export function registerProcess(registry: Registry, clock: Clock): Cancel {
  const startSeconds = clock.wallMs() / 1000 - process.uptime();
  gauge(
    registry,
    { name: "process_start_time_seconds", help: "Start of the process, in Unix time" },
    (set) => set(startSeconds),
  );
  gauge(registry, { name: "process_resident_memory_bytes", help: "Resident memory" }, (set) =>
    set(process.memoryUsage.rss()),
  );
  const cpu = { name: "process_cpu_seconds_total", help: "CPU time, user and system" };
  counter(registry, cpu, (add) => {
    const { user, system } = process.cpuUsage();
    add((user + system) / 1e6);
  });
  return registerLag(registry, clock);
}

function registerLag(registry: Registry, clock: Clock): Cancel {
  let lagMs = 0;
  let lagMsMax = 0;
  let dueMs = clock.monotonicMs() + eventLoopCheckMs;
  const stop = clock.every(eventLoopCheckMs, () => {
    const nowMs = clock.monotonicMs();
    lagMs = Math.max(0, nowMs - dueMs);
    lagMsMax = Math.max(lagMsMax, lagMs);
    dueMs = nowMs + eventLoopCheckMs;
  });
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_event_loop_lag_seconds",
      help: "How late the last timer ran on the main thread",
    },
    (set) => set(lagMs / 1000),
  );
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_event_loop_lag_seconds_max",
      help: "How late the latest timer ran since the last scrape",
    },
    (set) => {
      set(lagMsMax / 1000);
      lagMsMax = 0;
    },
  );
  return stop;
}
