import { expect, test } from "bun:test";
import fc from "fast-check";
import { setNewest } from "#core/bounded-map.ts";

test("setNewest() drops the entry that was set longest ago", () => {
  const map = new Map<string, number>();
  for (const [key, value] of [
    ["a", 1],
    ["b", 2],
    ["a", 3],
    ["c", 4],
  ] as const)
    setNewest(map, key, value, 2);
  expect([...map]).toEqual([
    ["a", 3],
    ["c", 4],
  ]);
});

test("setNewest() keeps the newest entries, as many as there may be", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 9 })), fc.nat({ max: 6 }), (keys, entriesMax) => {
      const map = new Map<number, number>();
      for (const [nth, key] of keys.entries()) setNewest(map, key, nth, entriesMax);
      const newest = [...new Set(keys.toReversed())].slice(0, entriesMax).toReversed();
      expect([...map.keys()]).toEqual(newest);
      for (const [key, nth] of map) expect(nth).toBe(keys.lastIndexOf(key));
    }),
  );
});
