import { describe, expect, test } from "bun:test";
import { nameFiltersMax } from "#core/limits.ts";
import {
  canonicalName,
  hashByte,
  hashSeed,
  nameFilter,
  sharedFilters,
} from "#engine/page/name-filter.ts";

const hashOf = (name: string) => Buffer.from(name).reduce(hashByte, hashSeed);
const find = (filter: ReturnType<typeof nameFilter>, name: string, hash: number) =>
  filter.find(Buffer.from(name), 0, name.length, hash);

describe("nameFilter()", () => {
  test("knows a name in every spelling", () => {
    const filter = nameFilter(["vllm:a", "ray_serve_b"]);
    for (const name of ["vllm:a", "vllm_a", "ray_vllm_a", "ray_vllm:a", "serve_b", "ray_serve_b"])
      expect(filter.has(name)).toBe(true);
    for (const name of ["a", "vllm", "serve", "ray_", "vllm:aa", ""])
      expect(filter.has(name)).toBe(false);
  });

  test("finds a name on a page under its canonical form", () => {
    const filter = nameFilter(["vllm:a", "b"]);
    for (const name of ["vllm:a", "vllm_a"])
      expect(find(filter, name, hashOf(name))).toBe("vllm_a");
    expect(find(filter, "ray_vllm:a", hashOf("vllm_a"))).toBe("vllm_a");
  });

  test("is not misled by another name of the same hash", () => {
    const filter = nameFilter(["abc"]);
    for (const other of ["abd", "xbc", "ab", "abcd"])
      expect(find(filter, other, hashOf("abc"))).toBeUndefined();
  });

  test("finds each of many names", () => {
    const names = Array.from({ length: 300 }, (_, at) => `name_${at}`);
    const filter = nameFilter(names);
    for (const name of names) expect(find(filter, name, hashOf(name))).toBe(name);
    expect(find(filter, "name_300", hashOf("name_300"))).toBeUndefined();
  });

  test("of no names finds none", () => {
    expect(find(nameFilter([]), "a", hashOf("a"))).toBeUndefined();
  });
});

test("canonicalName() folds every colon, and Ray's prefix at the start only", () => {
  expect(canonicalName("ray_vllm:a:b")).toBe("vllm_a_b");
  expect(canonicalName("x_ray_a")).toBe("x_ray_a");
});

describe("sharedFilters()", () => {
  test("gives one filter for the same names in any order", () => {
    const filterOf = sharedFilters();
    const filter = filterOf(new Set(["a", "b"]));
    expect(filterOf(new Set(["b", "a"]))).toBe(filter);
    expect(filterOf(new Set(["a"]))).not.toBe(filter);
  });

  test("keeps those that were used last", () => {
    const filterOf = sharedFilters();
    const [used, unused] = [filterOf(new Set(["used"])), filterOf(new Set(["unused"]))];
    for (let at = 0; at < nameFiltersMax - 1; at += 1) {
      filterOf(new Set(["used"]));
      filterOf(new Set([`name_${at}`]));
    }
    expect(filterOf(new Set(["used"]))).toBe(used);
    expect(filterOf(new Set(["unused"]))).not.toBe(unused);
  });
});
