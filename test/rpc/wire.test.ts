import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ScaledObjectRefSchema } from "#gen/externalscaler/externalscaler_pb.ts";
import { frame, rawClient } from "./raw-client.ts";
import { heldServer, until } from "./stand-in.ts";

const isActive = "/externalscaler.ExternalScaler/IsActive";

const ref = toBinary(
  ScaledObjectRefSchema,
  create(ScaledObjectRefSchema, { name: "chat", scalerMetadata: { targetValue: "5" } }),
);
const asked = frame(ref);
/** `IsActiveResponse` with a result of true. */
const yes = frame(new Uint8Array([8, 1]));

describe("a call is answered", () => {
  test.each([
    ["as application/grpc", {}, asked],
    ["as application/grpc+proto", { "content-type": "application/grpc+proto" }, asked],
    ["with its encoding named identity", { "grpc-encoding": "identity" }, asked],
    ["with a deadline", { "grpc-timeout": "60000m" }, asked],
    ["without a field", {}, frame(new Uint8Array())],
    ["in gzip", { "grpc-encoding": "gzip" }, frame(gzipSync(ref), 1)],
    ["with gzip named and not used", { "grpc-encoding": "gzip" }, asked],
  ])("%s", async (_how, headers, message) => {
    await using held = await heldServer();
    held.set({ active: () => true });
    await using raw = rawClient(held.server.port);
    const call = raw.call(isActive, message, headers);
    expect(await call.ended).toEqual({ status: "0", message: "" });
    expect(call.body().equals(yes)).toBe(true);
    await until(() => held.finished.length === 1, "the call is over");
    expect(held.finished).toMatchObject([{ code: "OK" }]);
  });

  test("in JSON, as it was asked", async () => {
    await using held = await heldServer();
    held.set({ active: () => true });
    await using raw = rawClient(held.server.port);
    const headers = { "content-type": "application/grpc+json" };
    const call = raw.call(isActive, frame(Buffer.from(`{"name":"chat"}`)), headers);
    expect((await call.ended).status).toBe("0");
    expect(call.body().equals(frame(Buffer.from(`{"result":true}`)))).toBe(true);
    expect(held.refs).toMatchObject([{ name: "chat" }]);
  });

  test("however its bytes are cut", async () => {
    await using held = await heldServer();
    held.set({ active: () => true });
    await using raw = rawClient(held.server.port);
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: asked.length - 1 }));
    await fc.assert(
      fc.asyncProperty(cuts, async (places) => {
        const call = raw.call(isActive);
        let from = 0;
        for (const to of places.toSorted((low, high) => low - high)) {
          call.write(asked.subarray(from, to));
          from = to;
        }
        call.send(asked.subarray(from));
        expect((await call.ended).status).toBe("0");
        expect(call.body().equals(yes)).toBe(true);
      }),
    );
    expect(held.refs.every(({ name }) => name === "chat")).toBe(true);
  });
});

describe("a call is refused", () => {
  const invalid = "INVALID_ARGUMENT";
  test.each([
    ["without a message", new Uint8Array(), {}, "UNIMPLEMENTED"],
    ["without a body", null, {}, "UNIMPLEMENTED"],
    ["with two messages", Buffer.concat([asked, asked]), {}, "UNIMPLEMENTED"],
    ["with half a message", asked.subarray(0, -1), {}, invalid],
    ["with half a frame header", asked.subarray(0, 3), {}, invalid],
    ["compressed without a word", frame(gzipSync(ref), 1), {}, "INTERNAL"],
    ["with gzip that is none", frame(ref, 1), { "grpc-encoding": "gzip" }, invalid],
    ["in an encoding unknown here", asked, { "grpc-encoding": "zstd" }, "UNIMPLEMENTED"],
    ["with a deadline that is none", asked, { "grpc-timeout": "soon" }, invalid],
  ])("%s", async (_how, message, headers, code) => {
    await using held = await heldServer();
    await using raw = rawClient(held.server.port);
    const call = raw.call(isActive, message, headers);
    expect((await call.ended).status).not.toBe("0");
    await until(() => held.finished.length === 1, "the call is over");
    expect(held.finished).toMatchObject([{ code }]);
    expect(held.refs).toEqual([]);
    expect(held.logged).toEqual([]);
  });

  test("that speaks another protocol, in terms of HTTP", async () => {
    await using held = await heldServer();
    await using raw = rawClient(held.server.port);
    const call = raw.call(isActive, asked, { "content-type": "application/json" });
    await call.closed;
    expect(held.refs).toEqual([]);
    await until(() => held.finished.length === 1, "the call is over");
    expect(held.finished).toMatchObject([{ code: "UNKNOWN" }]);
  });
});
