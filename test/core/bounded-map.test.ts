import { expect, test } from "bun:test";
import fc from "fast-check";
import { byteBoundedMap, setNewest } from "#core/bounded-map.ts";

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

test("byteBoundedMap() makes room for bytes, and counts what is replaced or deleted no more", () => {
  const map = byteBoundedMap<string, number>({ entriesMax: 9, bytesMax: 10 });
  map.set("a", 1, 4);
  map.set("b", 2, 4);
  map.set("a", 3, 6);
  expect([...map]).toEqual([
    ["b", 2],
    ["a", 3],
  ]);
  map.set("c", 4, 1);
  expect([...map]).toEqual([
    ["a", 3],
    ["c", 4],
  ]);
  map.delete("a");
  map.delete("a");
  map.set("d", 5, 9);
  expect([...map]).toEqual([
    ["c", 4],
    ["d", 5],
  ]);
  map.set("c", 6, 11);
  expect([...map]).toEqual([["d", 5]]);
});

test("byteBoundedMap() keeps the newest entries that fit, by number and by bytes", () => {
  const sets = fc.array(fc.record({ key: fc.nat({ max: 5 }), bytes: fc.nat({ max: 4 }) }));
  const bounds = fc.record({ entriesMax: fc.nat({ max: 6 }), bytesMax: fc.nat({ max: 12 }) });
  fc.assert(
    fc.property(sets, bounds, (all, { entriesMax, bytesMax }) => {
      const map = byteBoundedMap<number, number>({ entriesMax, bytesMax });
      let kept: readonly { readonly key: number; readonly bytes: number; readonly nth: number }[] =
        [];
      for (const [nth, { key, bytes }] of all.entries()) {
        map.set(key, nth, bytes);
        kept = kept.filter((one) => one.key !== key);
        if (bytes > bytesMax) continue;
        kept = [...kept, { key, bytes, nth }];
        while (kept.length > entriesMax || kept.reduce((sum, one) => sum + one.bytes, 0) > bytesMax)
          kept = kept.slice(1);
      }
      expect([...map]).toEqual(kept.map(({ key, nth }) => [key, nth]));
    }),
  );
});
