import { expect, test } from "bun:test";
import { simulate } from "#simulate/simulate.ts";
import { type Circumstance, circumstances } from "./circumstances.ts";

const all: readonly [string, Circumstance][] = Object.entries(circumstances);

test.each(all)("nothing goes wrong in %s", (_name, { scenario, wrong }) => {
  expect(wrong(simulate({ timelineSeconds: 1, ...scenario }, 1))).toBeUndefined();
});
