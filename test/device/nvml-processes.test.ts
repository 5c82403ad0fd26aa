import { describe, expect, test } from "bun:test";
import { processWindowMs, slowReadingsMs } from "#core/limits.ts";
import type { StandinGpu, StandinProcess, StandinState } from "../nvml-standin/control.ts";
import { harness, sampleOf, uuidOf } from "./nvml-harness.ts";

const mib = 1024 * 1024;
const lists = ["Compute", "MPSCompute", "Graphics"] as const;
const symbols = lists.map((kind) => `nvmlDeviceGet${kind}RunningProcesses_v3`);
const utilization = "nvmlDeviceGetProcessUtilization";
const of = (...gpus: readonly number[]) => ({
  pcieThroughput: false,
  processesOf: gpus.map(uuidOf),
});
const two: readonly StandinProcess[] = [
  { pid: 100, memoryBytes: 3 * mib, smPercent: 60, memoryPercent: 20 },
  { pid: 200, memoryBytes: 5 * mib, smPercent: 10, encoderPercent: 4, decoderPercent: 2 },
];
const idle = { smPercent: 0, memoryPercent: 0, encoderPercent: 0, decoderPercent: 0 };

async function played(gpu: StandinGpu, more: StandinState = {}) {
  const made = await harness();
  made.nvml.set({ gpus: [gpu], ...more });
  const read = (ms = 0) => sampleOf(made.collectAfter(ms, of(0)), 0).processes;
  return { ...made, read };
}

describe("processes", () => {
  test("are told with what each uses", async () => {
    const { read } = await played({ processes: two });
    expect(read()).toEqual([
      { pid: 100, memoryUsedBytes: 3 * mib, ...idle, smPercent: 60, memoryPercent: 20 },
      {
        pid: 200,
        memoryUsedBytes: 5 * mib,
        ...idle,
        smPercent: 10,
        encoderPercent: 4,
        decoderPercent: 2,
      },
    ]);
  });

  test("are asked for of those devices alone that are named, and there is no call for others", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 2, each: { processes: two } });
    const devices = collectAfter(0, of(1));
    expect(sampleOf(devices, 0).processes).toBeUndefined();
    expect(sampleOf(devices, 1).processes).toHaveLength(2);
    nvml.forgetCalls();
    collectAfter(slowReadingsMs, of());
    for (const symbol of [utilization, ...symbols])
      expect(nvml.calls().get(symbol)).toBeUndefined();
  });

  test("of all kinds are one list, in which one of two kinds is there once", async () => {
    const processes: readonly StandinProcess[] = [
      { pid: 1, memoryBytes: mib, smPercent: 1 },
      { pid: 2, kind: "MPSCompute", memoryBytes: 2 * mib },
      { pid: 3, kind: "Graphics", memoryBytes: 3 * mib },
    ];
    const { read } = await played({ processes });
    const memory = read()?.map(({ pid, memoryUsedBytes }) => [pid, memoryUsedBytes]);
    expect(memory).toEqual([
      [1, mib],
      [2, 2 * mib],
      [3, 3 * mib],
    ]);
  });

  test.each([16, 24, 32])(
    "are read from entries of %i bytes, whatever the symbol says",
    async (bytes) => {
      const many = Array.from({ length: 7 }, (_, at) => ({ pid: 10 + at, memoryBytes: at * mib }));
      const processEntryBytes = Object.fromEntries(symbols.map((symbol) => [symbol, bytes]));
      const { read } = await played({ processes: many }, { processEntryBytes });
      expect(read()).toEqual(
        many.map(({ pid, memoryBytes }) => ({ pid, memoryUsedBytes: memoryBytes })),
      );
    },
  );

  test("in entries of another length are told without their memory", async () => {
    const processEntryBytes = { [symbols[0] as string]: 20 };
    const { read } = await played({ processes: two }, { processEntryBytes });
    expect(read()?.map(({ memoryUsedBytes }) => memoryUsedBytes)).toEqual([undefined, undefined]);
    expect(read()?.map(({ smPercent }) => smPercent)).toEqual([60, 10]);
  });

  test("that are more than there was room for are read at once", async () => {
    const many = Array.from({ length: 150 }, (_, at) => ({
      pid: 10 + at,
      smPercent: 1,
      memoryBytes: mib,
    }));
    const { read } = await played({ processes: many });
    expect(read()).toHaveLength(150);
    expect(
      read()?.every(({ smPercent, memoryUsedBytes }) => smPercent === 1 && memoryUsedBytes === mib),
    ).toBe(true);
  });

  test("have no memory where the driver does not know it, and no utilization above 100", async () => {
    const processes = [{ pid: 7, memoryBytes: 2n ** 64n - 1n, smPercent: 300, memoryPercent: 9 }];
    const { read } = await played({ processes });
    expect(read()).toEqual([{ pid: 7, memoryPercent: 9, encoderPercent: 0, decoderPercent: 0 }]);
  });

  test("sampled several times have the mean", async () => {
    const processes = [10, 20, 60].map((smPercent, at) => ({
      pid: 7,
      smPercent,
      timeStamp: at + 1,
    }));
    const { read } = await played({ processes });
    expect(read()).toEqual([{ pid: 7, memoryUsedBytes: 0, ...idle, smPercent: 30 }]);
  });

  test.each([0, 4_194_305])("of number %i are none", async (pid) => {
    const { read } = await played({
      processes: [
        { pid, kind: "None", smPercent: 50 },
        { pid: 8, smPercent: 1 },
      ],
    });
    expect(read()?.map((one) => one.pid)).toEqual([8]);
  });
});

describe("how busy processes are", () => {
  const at = (timeStamp: number, smPercent: number): StandinGpu => ({
    processes: [{ pid: 7, kind: "None", smPercent, timeStamp }],
    returnCodes: Object.fromEntries(symbols.map((symbol) => [symbol, 4])),
  });

  test("is asked for since some seconds ago, so that one look at one process does not decide", async () => {
    const { nvml, read } = await played(at(1_000, 40));
    const since = (ms: number, timeStamp: number) => {
      nvml.set({ gpus: [at(timeStamp, 40)] });
      return read(ms)?.length;
    };
    expect(read()).toHaveLength(1);
    expect(since(processWindowMs / 2, 2_000)).toBe(1);
    expect(since(processWindowMs / 2, 1_001)).toBe(1);
    expect(since(processWindowMs / 2, 2_000)).toBeUndefined();
    expect(since(processWindowMs / 2, 2_001)).toBe(1);
  });

  test("is not known where the driver has no sample, and their memory still is", async () => {
    const { read } = await played({ processes: [{ pid: 7, memoryBytes: mib }] });
    expect(read()).toEqual([{ pid: 7, memoryUsedBytes: mib }]);
  });

  test("is not known under MIG", async () => {
    const { read } = await played({ mig: 1, processes: two });
    expect(read()?.map(({ smPercent }) => smPercent)).toEqual([undefined, undefined]);
  });
});

describe("the lists of processes", () => {
  test("are read every some seconds, for they cost", async () => {
    const { nvml, read } = await played({ processes: two });
    read();
    nvml.forgetCalls();
    read(slowReadingsMs / 2);
    expect(nvml.calls().get(symbols[0] as string)).toBeUndefined();
    expect(nvml.calls().get(utilization)).toBe(1);
    read(slowReadingsMs / 2);
    for (const symbol of symbols) expect(nvml.calls().get(symbol)).toBe(1);
  });

  test.each([
    [4, 2],
    [2, 0],
    [999, 1],
  ])("of which the driver refuses one with %i leave the memory unknown", async (code, which) => {
    const { read } = await played(
      { processes: two },
      { returnCodes: { [symbols[which] as string]: code } },
    );
    expect(read()?.map(({ memoryUsedBytes }) => memoryUsedBytes)).toEqual([undefined, undefined]);
  });

  test.each([
    ["some of which", symbols.slice(1), [3 * mib, 5 * mib]],
    ["all of which", symbols, [undefined, undefined]],
  ])(
    "%s the device does not have: they have nobody, and alone tell nothing",
    async (_which, refused, memory) => {
      const returnCodes = Object.fromEntries(refused.map((symbol) => [symbol, 3]));
      const { read } = await played({ processes: two }, { returnCodes });
      expect(read()?.map(({ memoryUsedBytes }) => memoryUsedBytes)).toEqual(memory);
    },
  );

  test.each([
    ["r470", "_v2"],
    ["r418", ""],
  ] as const)("of driver branch %s are those that it has", async (variant, version) => {
    const { nvml, collectAfter } = await harness(variant);
    nvml.set({ gpus: [{ processes: two }] });
    const processes = sampleOf(collectAfter(0, of(0)), 0).processes;
    expect(processes?.map(({ memoryUsedBytes }) => memoryUsedBytes)).toEqual([3 * mib, 5 * mib]);
    expect(nvml.calls().get(`nvmlDeviceGetComputeRunningProcesses${version}`)).toBe(1);
  });

  test("of a GPU that is lost meanwhile make it lost", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{ returnCodes: { [symbols[0] as string]: 15 } }] });
    const sample = sampleOf(collectAfter(0, of(0)), 0);
    expect(sample.health.state).toBe("lost");
    expect(sample.readings).toEqual({});
    expect(sample.processes).toBeUndefined();
  });
});
