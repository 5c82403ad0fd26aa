import { describe, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import { engineRoomMs } from "#core/limits.ts";
import { memoryBudget } from "#engine/scrape/memory-budget.ts";
import { manualClock } from "../support/manual-clock.ts";

const mebibyte = 1024 * 1024;

function started(bytesMax = 10 * mebibyte, shareBytesMax = 5 * mebibyte) {
  const clock = manualClock();
  const budget = memoryBudget({ clock, bytesMax, shareBytesMax });
  const evicted: string[] = [];
  const open = (namespace: string, name = namespace) =>
    budget.open(namespace, () => evicted.push(name));
  return { clock, open, evicted };
}

function faultOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof Fault && error.code === "overloaded") return error.message;
    throw error;
  }
}

describe("a namespace keeps", () => {
  test("what fits its share, over all of its targets, and is told what it uses", () => {
    const { open, evicted } = started();
    const [first, second] = [open("shop"), open("shop")];
    first.set(3 * mebibyte);
    second.add(2 * mebibyte);
    expect(faultOf(() => second.add(1))).toBe(
      "Cannot keep more series of namespace shop: those of its engines take 5.0 MiB of the 5.0 MiB " +
        "that a namespace may; ask for fewer signals or shorter windows there, have its engines print " +
        "fewer series, or scale on fewer pods",
    );
    // What did not fit is gone; what was there before it stays.
    expect(faultOf(() => second.add(0))).toBeDefined();
    first.set(4 * mebibyte);
    open("bank").set(5 * mebibyte);
    expect(evicted).toEqual([]);
  });

  test("more again when some of it is gone", () => {
    const { open, clock } = started();
    const [first, second] = [open("shop"), open("shop")];
    first.set(3 * mebibyte);
    expect(faultOf(() => second.set(3 * mebibyte))).toBeDefined();
    first.end();
    const third = open("shop");
    clock.advance(engineRoomMs);
    third.begin();
    expect(faultOf(() => third.set(5 * mebibyte))).toBeUndefined();
  });

  test("at the cost of the one that uses most, where the process is full", () => {
    const { open, evicted } = started(6 * mebibyte);
    open("greedy", "small").set(mebibyte);
    open("greedy", "large").set(4 * mebibyte);
    const modest = open("shop");
    modest.set(2 * mebibyte);
    expect(evicted).toEqual(["large"]);
    expect(faultOf(() => modest.set(3 * mebibyte))).toBeUndefined();
  });

  test("no more than others where the process is full of those that use less", () => {
    const { open, evicted } = started(6 * mebibyte);
    for (const namespace of ["a", "b", "c"]) open(namespace).set(2 * mebibyte);
    const late = open("d");
    expect(faultOf(() => late.set(3 * mebibyte))).toContain("all engines' take the 6.0 MiB");
    expect(evicted).toEqual([]);
  });
});

test("after a refusal pages of the namespace are read one at a time, and none once that was refused", () => {
  const { open, clock } = started();
  const [kept, refused, tried, waiting] = ["kept", "refused", "tried", "waiting"].map(() =>
    open("shop"),
  );
  kept?.set(4 * mebibyte);
  expect(faultOf(() => refused?.set(2 * mebibyte))).toBeDefined();
  expect(faultOf(() => tried?.begin())).toBeUndefined();
  expect(faultOf(() => waiting?.begin())).toBeDefined();
  tried?.add(mebibyte);
  expect(faultOf(() => tried?.add(mebibyte))).toBeDefined();
  expect(faultOf(() => waiting?.begin())).toBeDefined();
  // Those that are kept go on, and another namespace is not concerned.
  expect(faultOf(() => kept?.begin())).toBeUndefined();
  expect(faultOf(() => open("bank").begin())).toBeUndefined();
  clock.advance(engineRoomMs);
  expect(faultOf(() => waiting?.begin())).toBeUndefined();
});

test("a page that is let go while it is read makes room for another one to be tried", () => {
  const { open } = started();
  const [half, refused, tried, waiting] = ["half", "refused", "tried", "waiting"].map(() =>
    open("shop"),
  );
  half?.add(4 * mebibyte);
  expect(faultOf(() => refused?.add(2 * mebibyte))).toBeDefined();
  tried?.begin();
  expect(faultOf(() => tried?.add(2 * mebibyte))).toBeDefined();
  expect(faultOf(() => waiting?.begin())).toBeDefined();
  half?.end();
  expect(faultOf(() => waiting?.begin())).toBeUndefined();
  expect(faultOf(() => waiting?.set(5 * mebibyte))).toBeUndefined();
});
