import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type DeviceProcess, useNames, useRanges } from "#metric/device-use.ts";
import type { OwnerOf, ProcessOwner } from "#node/process-owners.ts";
import { useShares } from "#node/use-shares.ts";

const pod = (uid: string): ProcessOwner => ({ kind: "pod", uid });
const owners =
  (known: Readonly<Record<number, ProcessOwner>>): OwnerOf =>
  (pid) =>
    known[pid];
const [a, b, none] = [pod("a"), pod("b"), { kind: "none" } as const];
const mps = { kind: "mps-server" } as const;

describe("parts", () => {
  test("are of what all processes use, and a pod's processes count together", () => {
    const processes = [
      { pid: 1, smPercent: 30, memoryUsedBytes: 100 },
      { pid: 2, smPercent: 10, memoryUsedBytes: 100 },
      { pid: 3, smPercent: 40, memoryUsedBytes: 200 },
    ];
    expect(useShares(processes, owners({ 1: a, 2: a, 3: b }))).toEqual({
      smPercent: new Map([
        ["a", 0.5],
        ["b", 0.5],
      ]),
      memoryUsedBytes: new Map([
        ["a", 0.5],
        ["b", 0.5],
      ]),
    });
  });

  test("of processes in no pod are nobody's", () => {
    const processes = [
      { pid: 1, smPercent: 30 },
      { pid: 2, smPercent: 10 },
    ];
    expect(useShares(processes, owners({ 1: none, 2: a })).smPercent).toEqual(
      new Map([["a", 0.25]]),
    );
  });

  test.each([
    [
      "of whom it is not known whose it is",
      [
        { pid: 1, smPercent: 9 },
        { pid: 9, smPercent: 1 },
      ],
    ],
    ["of whom the use was not read", [{ pid: 1, smPercent: 9 }, { pid: 2 }]],
    [
      "that serves others by MPS",
      [
        { pid: 1, smPercent: 9 },
        { pid: 3, smPercent: 1 },
      ],
    ],
  ])("are not known beside a process %s", (_why, processes) => {
    expect(useShares(processes, owners({ 1: a, 2: b, 3: mps })).smPercent).toBeUndefined();
  });

  test("are known beside a process that is nobody's and has none of it", () => {
    const processes = [
      { pid: 1, smPercent: 9 },
      { pid: 9, smPercent: 0 },
    ];
    expect(useShares(processes, owners({ 1: a })).smPercent).toEqual(new Map([["a", 1]]));
  });

  test.each([
    ["there is no process", []],
    ["no process uses any", [{ pid: 1, smPercent: 0 }]],
    ["none is in a pod", [{ pid: 2, smPercent: 5 }]],
  ])("are not known where %s", (_why, processes) => {
    expect(useShares(processes, owners({ 1: a, 2: none }))).toEqual({});
  });

  test("of memory leave an MPS server its own, beside its clients' own", () => {
    const processes = [
      { pid: 1, memoryUsedBytes: 300 },
      { pid: 2, memoryUsedBytes: 100 },
      { pid: 3, memoryUsedBytes: 100 },
    ];
    const ownerOf = owners({ 1: a, 2: b, 3: mps });
    expect(useShares(processes, ownerOf).memoryUsedBytes).toEqual(
      new Map([
        ["a", 0.6],
        ["b", 0.2],
      ]),
    );
    expect(useShares(processes.slice(2), ownerOf)).toEqual({});
  });
});

test("whatever processes there are, the parts of all pods are at most the whole", () => {
  const process = fc.record(
    {
      pid: fc.integer({ min: 1, max: 6 }),
      ...Object.fromEntries(
        useNames.map((name) => [name, fc.maxSafeNat().map((n) => n % (useRanges[name].most + 1))]),
      ),
    },
    { requiredKeys: ["pid"] },
  ) as fc.Arbitrary<DeviceProcess>;
  const known = owners({ 1: a, 2: a, 3: b, 4: none, 5: mps });
  fc.assert(
    fc.property(fc.array(process, { maxLength: 8 }), (processes) => {
      for (const shares of Object.values(useShares(processes, known))) {
        const parts = [...shares.values()];
        expect(parts.every((part) => part > 0 && part <= 1)).toBe(true);
        expect(parts.reduce((sum, part) => sum + part, 0)).toBeLessThanOrEqual(1 + 1e-9);
      }
    }),
  );
});
