/**
 * Plays each circumstance in which the scaler has answered wrongly, and says what happens.
 *
 *     bun bench/circumstances.ts [NAME…]
 */
import { simulate } from "#simulate/simulate.ts";
import { type Circumstance, circumstances } from "../test/simulate/circumstances.ts";

const all: readonly [string, Circumstance][] = Object.entries(circumstances);
const names = Bun.argv.slice(2);
for (const [name, { scenario, wrong }] of all) {
  if (names.length > 0 && !names.includes(name)) continue;
  const outcome = wrong(simulate({ timelineSeconds: 1, ...scenario }, 1));
  console.log(`${name}: ${outcome ?? "right"}`);
}
