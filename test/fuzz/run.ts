/**
 * Fuzzes for as long as it takes:
 *
 *     npm run fuzz -- --inputs 10000000 --seed 7 exposition number
 *
 * The inputs are of all targets together, each of which has its share; without names all are run.
 * An input that breaks a promise is written below `test/fuzz/crashes`, where `bun test test/fuzz`
 * runs it again for ever.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type Campaign, campaign, heapGrowthBytesMax, saveCrash } from "./campaign.ts";
import type { Target } from "./target.ts";
import { targets } from "./targets.ts";

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: {
    inputs: { type: "string", default: "1000000" },
    seed: { type: "string", default: `${Date.now() % 2 ** 31}` },
  },
  allowPositionals: true,
});
const [inputs, seed] = [Number(values.inputs), Number(values.seed)];
const unknown = positionals.filter((name) => !targets.some((target) => target.name === name));
if (unknown.length > 0 || !(inputs >= 1) || !Number.isInteger(seed)) {
  const names = targets.map(({ name }) => name).join(", ");
  process.stderr.write(
    `Cannot fuzz: --inputs and --seed are whole numbers and targets are of ${names}, got ${process.argv.slice(2).join(" ")}; correct them\n`,
  );
  process.exit(2);
}

const chosen = targets.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const shares = chosen.reduce((sum, { share }) => sum + share, 0);
process.stdout.write(`seed ${seed}\n`);
let failures = 0;
for (const target of chosen) {
  const own = Math.max(1, Math.round((inputs * target.share) / shares));
  const result = await campaign(target, { inputs: own, seed });
  await target.close?.();
  process.stdout.write(`${line(target, result)}\n`);
  if (result.heapGrowthBytes > heapGrowthBytesMax) failures += 1;
  if (result.failure === undefined) continue;
  failures += 1;
  const { input, error } = result.failure;
  const path = saveCrash(target, input);
  process.stdout.write(
    `${error instanceof Error ? error.stack : error}\nseed ${seed}, saved as ${path}\n`,
  );
}
process.exitCode = failures === 0 ? 0 : 1;

function line({ name }: Target, result: Campaign): string {
  const { inputs: done, seconds, outcomes, slowestMs, heapGrowthBytes } = result;
  const grown = heapGrowthBytes > heapGrowthBytesMax ? " MEMORY IS NOT FLAT" : "";
  const columns = [
    name.padEnd(18),
    `${done}`.padStart(9),
    `${seconds.toFixed(1)} s`.padStart(9),
    `${Math.round(done / seconds)}/s`.padStart(9),
    `${outcomes} outcomes`.padStart(14),
    `slowest ${slowestMs.toFixed(0)} ms`,
    `heap ${(heapGrowthBytes / 1024 / 1024).toFixed(1)} MiB`,
  ];
  return columns.join("  ") + grown;
}
