/**
 * A process that could not run for a while, as on a machine that was paused: what its clients gave up
 * meanwhile is not held against them.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { connect, constants } from "node:http2";
import { stallLeastMs } from "#core/limits.ts";
import { foreignClient } from "../foreign/client.ts";
import { serveBinary } from "../support/binary.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

const path = "/externalscaler.ExternalScaler/GetMetrics";
const givenUp = 400;

test("a client that gave up its calls while the scaler stood still is answered at once after it", async () => {
  await using serving = await serveBinary({ args: ["--collector", "mock"] });
  await using keda = foreignClient();
  const address = `127.0.0.1:${serving.grpcPort}`;
  const channel = await keda.connect(address);
  const ask = async () => {
    const ref = { name: "so", namespace: "ns", scalerMetadata: {} };
    const asked = { scaledObjectRef: ref, metricName: "" };
    return (await channel.unary("externalscaler.ExternalScaler", "GetMetrics", asked)).code;
  };
  await eventually(ask, "OK");

  const impatient = connect(`http://${address}`);
  await new Promise((resolve) => impatient.once("remoteSettings", resolve));
  serving.kill("SIGSTOP");
  const given = Array.from({ length: givenUp }, async () => {
    const call = impatient.request({ ":method": "POST", ":path": path });
    call.on("error", () => undefined);
    await Bun.sleep(20);
    call.close(constants.NGHTTP2_CANCEL);
  });
  await Promise.all(given);
  await Bun.sleep(stallLeastMs + 1_500);
  serving.kill("SIGCONT");

  expect(await ask()).toBe("OK");
  await Bun.sleep(500);
  expect(serving.log.filter(({ event }) => event === "peer barred")).toEqual([]);
  const other = await keda.connect(address);
  await other.close();
  impatient.destroy();
  await channel.close();
});
