/**
 * A foreign client with push streams: `@grpc/grpc-js` on Node.js holds them on one connection, each
 * repeated every second.
 *
 *   node bench/stream-load.mjs PORT STREAMS
 *
 * Prints a line when every stream has had its first message, and goes on until it is killed.
 */
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [port, streams] = process.argv.slice(2);
const proto = fileURLToPath(
  new URL("../proto/externalscaler/externalscaler.proto", import.meta.url),
);
const { externalscaler } = grpc.loadPackageDefinition(loadSync(proto, { keepCase: true }));
const client = new externalscaler.ExternalScaler(
  `127.0.0.1:${port}`,
  grpc.credentials.createInsecure(),
);
const scalerMetadata = { targetGpuUtilization: "80", pollIntervalSeconds: "1" };
let started = 0;
for (let at = 0; at < Number(streams); at += 1) {
  const stream = client.StreamIsActive({ name: `bench-${at}`, namespace: "bench", scalerMetadata });
  stream.once("data", () => {
    started += 1;
    if (started === Number(streams)) console.log("open");
  });
  stream.on("data", () => undefined);
}
