import { expect, setDefaultTimeout, test } from "bun:test";
import { foreignClient } from "../foreign/client.ts";
import { serveBinary } from "../support/binary.ts";
import { systemFigures } from "./siege.ts";

setDefaultTimeout(120_000);

const calls = 1_200;
/** With the rest of the message it is just under `requestMessageBytesMax`. */
const nameChars = 319 * 1_024;

test.each(["namespace", "name"])("long texts as %s are refused and not kept", async (field) => {
  await using serving = await serveBinary({ args: ["--collector", "mock"] });
  await using client = foreignClient();
  const channel = await client.connect(`127.0.0.1:${serving.grpcPort}`);
  // Of engines, whose triggers are remembered once they were asked for.
  const scalerMetadata = { metricType: "queue_depth", targetValue: "5" };
  const codes = new Map<string, number>();
  for (let call = 0; call < calls; call += 1) {
    const scaledObjectRef = { [field]: `${call}-${"x".repeat(nameChars)}`, scalerMetadata };
    const { code } = await channel.unary("externalscaler.ExternalScaler", "GetMetrics", {
      scaledObjectRef,
    });
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  expect([...codes]).toEqual([["INVALID_ARGUMENT", calls]]);
  expect(systemFigures(serving.pid).rssMebibytes).toBeLessThan(256);
});
