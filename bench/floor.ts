/**
 * The least that an answer can cost: a bare `node:http2` server under Bun that reads a request and
 * sends the same bytes every time. What `get-metrics.ts` finds above this is our own.
 *
 * Prints its port.
 */
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { GetMetricsResponseSchema } from "#gen/externalscaler/externalscaler_pb.ts";

const message = toBinary(
  GetMetricsResponseSchema,
  create(GetMetricsResponseSchema, {
    metricValues: [{ metricName: "gpu-gpu-utilization", metricValue: 73n, metricValueFloat: 73 }],
  }),
);
const body = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);

const server = createServer((request, response) => {
  request.stream.resume().once("end", () => {
    response.writeHead(200, { "content-type": "application/grpc+proto" });
    response.addTrailers({ "grpc-status": "0" });
    response.end(body);
  });
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
