import { expect, test } from "bun:test";
import { join } from "node:path";
import { systemClock } from "#core/clock.ts";
import { eventLoopCheckMs } from "#core/limits.ts";
import { type MetricsOptions, processMetrics } from "#observe/metrics.ts";
import { manualClock } from "../support/manual-clock.ts";
import { deletionCosts, deviceUse, engines, fleet, node, triggers } from "./stats.ts";

function started(options: Partial<MetricsOptions> = {}) {
  const clock = manualClock();
  const metrics = processMetrics({
    clock,
    version: "1.2.3",
    revision: "abc",
    isFresh: () => true,
    ...options,
  });
  const lines = async () => (await metrics.text()).split("\n");
  /** The value of one series; `undefined` when the page has none. */
  const series = async (name: string) => {
    const line = (await lines()).find((each) => each.startsWith(`keda_gpu_scaler_${name} `));
    return line === undefined ? undefined : Number(line.split(" ").at(-1));
  };
  return { metrics, clock, lines, series };
}

/** What the machine and the moment decide is not compared. */
function comparable(page: string): string {
  return page
    .replace(/^(process_\w+) .*$/gm, "$1 N")
    .replace(`bun="${process.versions.bun}"`, 'bun="B"');
}

test("the page is the golden one: names, help, types, labels, values and their order", async () => {
  const { metrics, clock } = started({
    node,
    fleet,
    engines,
    triggers: () => triggers,
    deletionCosts,
    deviceUse,
  });
  metrics.collected(4);
  metrics.finished({ method: "a.B/C", code: "OK", durationMs: 0.3 });
  metrics.finished({ method: "a.B/C", code: "UNAVAILABLE", durationMs: 20 });
  metrics.openStreams(5);
  metrics.openConnections(2);
  clock.advance(eventLoopCheckMs);
  const golden = await Bun.file(join(import.meta.dir, "metrics.golden.txt")).text();
  expect(comparable(await metrics.text())).toBe(golden);
  expect(metrics.contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
});

test("a process shows nothing of what it does not do", async () => {
  const { metrics, lines } = started();
  metrics.collected(4);
  const names = (await lines()).flatMap(
    (line) => /^# TYPE keda_gpu_scaler_(\w+)/.exec(line)?.[1] ?? [],
  );
  expect(names).toEqual([
    "scaler_requests_total",
    "scaler_request_errors_total",
    "scaler_request_duration_seconds",
    "data_fresh",
    "streams",
    "connections",
    "build_info",
    "event_loop_lag_seconds",
    "event_loop_lag_seconds_max",
  ]);
});

test("what is gone leaves no series, and what is not known has none", async () => {
  let hasDevices = true;
  const agesMs = new Map<string, number>();
  const { series } = started({
    node: { ...node, devices: () => (hasDevices ? node.devices() : []) },
    fleet: { ...fleet, sampleAgesMs: () => agesMs },
    engines: { ...engines, targets: () => [{ engine: "vllm", isFailing: true }] },
  });
  const device = 'gpu_index="0",gpu_uuid="GPU-a",gpu_name="H100"';
  expect(await series(`gpu_up{${device}}`)).toBe(1);
  expect(await series("gpu_device_count")).toBe(2);
  expect(await series("fleet_oldest_sample_age_seconds")).toBeUndefined();
  expect(await series("engine_oldest_scrape_age_seconds")).toBeUndefined();
  hasDevices = false;
  agesMs.set("node-a", 0);
  expect(await series(`gpu_up{${device}}`)).toBeUndefined();
  expect(await series("gpu_device_count")).toBe(0);
  expect(await series("fleet_oldest_sample_age_seconds")).toBe(0);
});

test("data is fresh as long as it may be answered with", async () => {
  let isFresh = true;
  const { series } = started({ isFresh: () => isFresh });
  expect(await series("data_fresh")).toBe(1);
  isFresh = false;
  expect(await series("data_fresh")).toBe(0);
});

test("a late timer is lag: the last one, and the latest since the last scrape", async () => {
  const clock = { ...manualClock(), monotonicMs: () => nowMs, every: timer };
  let nowMs = 0;
  let fire = () => {};
  let isStopped = false;
  function timer(_intervalMs: number, run: () => void) {
    fire = run;
    return () => {
      isStopped = true;
    };
  }
  const { metrics, lines } = started({ clock });
  const lag = async () =>
    (await lines()).flatMap(
      (line) => /^keda_gpu_scaler_event_loop_lag_\w+ (.+)/.exec(line)?.[1] ?? [],
    );
  const fireLate = (lateMs: number) => {
    nowMs += eventLoopCheckMs + lateMs;
    fire();
  };
  fireLate(70);
  fireLate(30);
  expect(await lag()).toEqual(["0.03", "0.07"]);
  fireLate(0);
  expect(await lag()).toEqual(["0", "0"]);
  fireLate(-20);
  expect(await lag()).toEqual(["0", "0"]);
  metrics.stop();
  expect(isStopped).toBe(true);
});

test("the process' own numbers are those of this process, in seconds and bytes", async () => {
  const { lines } = started({ clock: systemClock() });
  const all = await lines();
  const number = (name: string) =>
    Number(
      all
        .find((line) => line.startsWith(`${name} `))
        ?.split(" ")
        .at(-1),
    );
  const nowSeconds = Date.now() / 1000;
  const { user, system } = process.cpuUsage();
  expect(number("process_start_time_seconds")).toBeWithin(
    nowSeconds - process.uptime() - 5,
    nowSeconds - process.uptime() + 5,
  );
  expect(number("process_resident_memory_bytes")).toBeWithin(10e6, 10e9);
  expect(number("process_cpu_seconds_total")).toBeWithin(
    (user + system) / 2e6,
    (user + system) / 1e6 + 1,
  );
});
