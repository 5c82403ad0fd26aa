/**
 * The least that an answer can cost under Bun: a server that sends the same answer to every GetMetrics.
 * What `get-metrics.ts` finds above this is our own.
 *
 *   bun bench/floor.ts http2      a bare `node:http2` server that reads a request and sends bytes
 *   bun bench/floor.ts connect    Connect's node adapter on such a server, without anything else
 *
 * Prints its port.
 */
import { createServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ExternalScaler, GetMetricsResponseSchema } from "#gen/externalscaler/externalscaler_pb.ts";

const answer = {
  metricValues: [{ metricName: "gpu-utilization", metricValue: 73n, metricValueFloat: 73 }],
};
const message = toBinary(GetMetricsResponseSchema, create(GetMetricsResponseSchema, answer));
const body = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);

const handlers = {
  http2: (request: Http2ServerRequest, response: Http2ServerResponse) => {
    request.stream.resume().once("end", () => {
      response.writeHead(200, { "content-type": "application/grpc+proto" });
      response.addTrailers({ "grpc-status": "0" });
      response.end(body);
    });
  },
  connect: connectNodeAdapter({
    routes: (router) => router.service(ExternalScaler, { getMetrics: () => answer }),
    connect: false,
    grpcWeb: false,
  }),
};
const [, , kind] = process.argv;
const server = createServer(kind === "connect" ? handlers.connect : handlers.http2);
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
