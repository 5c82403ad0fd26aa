/**
 * What attacks on the gRPC port cost: each from one peer and from many, beside a client that holds
 * 1,000 push streams and asks GetMetrics 50 times a second.
 *
 *   bun bench/hostile.ts [--seconds 60] [--streams 1000] [ATTACK…]
 *
 * Prints one row an attack: failures and p99 of the good client, peak of memory and descriptors, and
 * what was left ten seconds after the attack.
 */
import { parseArgs } from "node:util";
import { attackNames, siege } from "../test/hostile/siege.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "60" },
    streams: { type: "string", default: "1000" },
  },
});
const chosen = attackNames.filter((name) => positionals.length === 0 || positionals.includes(name));
for (const attack of chosen)
  for (const peers of [1, 100]) {
    const { during, peak, after, rest } = await siege({
      attack,
      peers,
      streams: Number(values.streams),
      attackMs: Number(values.seconds) * 1_000,
      recoveryMs: 10_000,
    });
    console.log(
      JSON.stringify({
        attack,
        peers,
        calls: during.calls,
        failed: during.failed,
        p99Ms: during.p99Ms,
        newcomersFailed: `${during.newcomers.failed}/${during.newcomers.calls}`,
        peakRssMebibytes: peak.rssMebibytes,
        peakDescriptors: peak.descriptors,
        afterFailed: after.failed,
        afterP99Ms: after.p99Ms,
        afterRssMebibytes: rest.rssMebibytes,
        afterDescriptors: rest.descriptors,
        afterConnections: rest.openConnections,
      }),
    );
  }
