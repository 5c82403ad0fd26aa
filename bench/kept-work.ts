/**
 * What a scaler and an agent do all day, each beside the least that it could cost: for `kept.ts`.
 *
 * @module
 */
import { ptr } from "bun:ffi";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { answerer } from "#answer/answerer.ts";
import { type Clock, systemClock } from "#core/clock.ts";
import { nvmlCollector } from "#device/nvml/collector.ts";
import { loadLibrary } from "#device/nvml/library.ts";
import { pageParser } from "#engine/page/exposition.ts";
import { nameFilter } from "#engine/page/name-filter.ts";
import { seriesTable } from "#engine/page/series.ts";
import { fleetStore } from "#fleet/store.ts";
import { NodeSnapshotSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { readSnapshot } from "#telemetry/check.ts";
import { snapshotDecoder } from "#telemetry/decode.ts";
import { snapshotEncoder } from "#telemetry/encode.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { held, host, pod, workload } from "../test/answer/cluster.ts";
import { clock as stillClock, storeOf } from "../test/answer/fleet.ts";
import { buildStandin } from "../test/nvml-standin/build.ts";
import { metricNames, vllmPage } from "./engine-page.ts";
import { gpusPerNode, nodeName } from "./fleet-plan.ts";
import { fleetReport } from "./fleet-report.ts";

export interface Work {
  readonly what: string;
  readonly floorIs: string;
  readonly ours: () => unknown;
  /** What comes of it is returned, so that no compiler leaves it out. */
  readonly floor: () => unknown;
}

export async function allWork(): Promise<readonly Work[]> {
  return [await devicePass(), enginePage(), fleetSecond(), triggerRound()];
}

async function devicePass(): Promise<Work> {
  const path = await buildStandin("full");
  const callsOfPass = 88;
  let nowMs = 0;
  /** A second a pass, so that slow readings come as often as they do in service. */
  const clock: Clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    after: () => () => undefined,
    every: () => () => undefined,
  };
  const collector = nvmlCollector({ libraryPaths: [path], clock, log: () => undefined });
  const count = loadLibrary([path]).bind("nvmlDeviceGetCount_v2", ["pointer"]);
  const answer = new Uint32Array(1);
  if (count === undefined) throw new Error(`${path} must have nvmlDeviceGetCount_v2`);
  return {
    what: "one pass over 8 GPUs of the NVML stand-in",
    floorIs: `${callsOfPass} native calls`,
    ours: () => {
      nowMs += 1_000;
      collector.collect({ pcieThroughput: false });
    },
    floor: () => {
      for (let call = 0; call < callsOfPass; call += 1) count(ptr(answer));
      return answer[0];
    },
  };
}

function enginePage(): Work {
  const page = vllmPage();
  const filter = nameFilter(metricNames);
  const table = seriesTable();
  return {
    what: "a vLLM page of 12,170 lines parsed",
    floorIs: "its newlines counted, byte by byte",
    ours: () => {
      const parser = pageParser({ filter, table });
      // 64 KiB is what a socket hands over at once.
      for (let at = 0; at < page.length; at += 65_536) parser.push(page.subarray(at, at + 65_536));
      parser.end();
    },
    floor: () => {
      let lines = 0;
      for (let at = 0; at < page.length; at += 1) if (page[at] === 0x0a) lines += 1;
      return lines;
    },
  };
}

/** A thousand agents' messages, as they come in one second between two whole snapshots. */
function fleetSecond(): Work {
  const agents = 1_000;
  const store = fleetStore({ clock: systemClock() });
  const nodes = Array.from({ length: agents }, (_, at) => {
    const encode = snapshotEncoder({ startedAtMs: 1, monotonicMs: () => 0, wholeEveryMs: 30_000 });
    const [whole, ...changes] = [1, 2, 3].map((sampledAtMs) =>
      toBinary(
        NodeSnapshotSchema,
        create(
          NodeSnapshotSchema,
          encode(fleetReport(nodeName(at), at * gpusPerNode, sampledAtMs)),
        ),
      ),
    );
    const decode = snapshotDecoder();
    if (whole !== undefined) decode(readSnapshot(whole));
    return { decode, changes };
  });
  let second = 0;
  const each = (use: (message: Uint8Array, decode: ReturnType<typeof snapshotDecoder>) => void) => {
    second += 1;
    for (const { decode, changes } of nodes) {
      const message = changes[second % changes.length];
      if (message !== undefined) use(message, decode);
    }
  };
  return {
    what: "a second of 1,000 agents with 8 GPUs: read, checked, stored",
    floorIs: "the same messages read by Protobuf",
    ours: () =>
      each((message, decode) => {
        const heard = decode(readSnapshot(message));
        if (heard !== undefined) store.put(heard.report);
      }),
    floor: () => each((message) => void fromBinary(NodeSnapshotSchema, message)),
  };
}

/** What a scaler does for each trigger every 5 s, with metadata that it has never seen. */
function triggerRound(): Work {
  const metadata = { scalerAddress: "keda-gpu-scaler.keda:6000", targetGpuUtilization: "80" };
  const objects = Array.from({ length: 500 }, (_, at) => {
    const namespace = `team-${at % 20}`;
    const names = [`llm-${at}-0`, `llm-${at}-1`];
    const devices = names.map((name) => {
      const device = held(name, 70, { uuid: `GPU-${name}` });
      return { ...device, holders: device.holders.map((one) => ({ ...one, namespace })) };
    });
    const node = host(nodeName(at), devices);
    const pods = names.map((name) => pod(name, { namespace, node: node.name }));
    return { ref: { namespace, name: `llm-${at}`, scalerMetadata: metadata }, node, pods };
  });
  const known = new Map(objects.map(({ ref, pods }) => [ref.name, workload({ pods })]));
  const { value, activity } = answerer({
    store: storeOf(objects.map(({ node }) => node)),
    clock: stillClock,
    workloads: { of: (_namespace, name) => known.get(name) ?? workload({}) },
  });
  return {
    what: "500 triggers of two replicas: parsed, a value and an activity of each",
    floorIs: "the same objects and nodes written and read as JSON",
    ours: () => {
      for (const { ref } of objects) {
        const trigger = parseTrigger({ ...metadata });
        value(ref, trigger);
        activity(ref, trigger);
      }
    },
    floor: () => objects.map((object): unknown => JSON.parse(JSON.stringify(object))),
  };
}
