import { expect, test } from "bun:test";
import { simulate } from "#simulate/simulate.ts";
import { type Circumstance, circumstances } from "./circumstances.ts";

const all: readonly [string, Circumstance][] = Object.entries(circumstances);

test.each(all)("%s goes wrong until it is repaired", (_name, { repaired, scenario, wrong }) => {
  const outcome = wrong(simulate({ timelineSeconds: 1, ...scenario }, 1));
  // Where nothing goes wrong any more, set `repaired`: the properties judge it from then on.
  if (repaired) expect(outcome).toBeUndefined();
  else expect(outcome).toBeString();
});
