import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type ForeignClient, foreignClient, type Json } from "../foreign/client.ts";
import { heldServer } from "./stand-in.ts";

let client: ForeignClient;
beforeAll(() => {
  client = foreignClient();
});
afterAll(() => client[Symbol.asyncDispose]());

/** The names of the files in an answer; throws when one is no file descriptor. */
function fileNames(answer: Json): readonly string[] {
  const { fileDescriptorResponse } = answer as {
    fileDescriptorResponse: { fileDescriptorProto: readonly string[] };
  };
  return fileDescriptorResponse.fileDescriptorProto.map(
    (base64) => fromBinary(FileDescriptorProtoSchema, Buffer.from(base64, "base64")).name,
  );
}

describe.each(["grpc.reflection.v1", "grpc.reflection.v1alpha"])("%s", (version) => {
  const reflection = `${version}.ServerReflection`;
  const open = async (address: string) =>
    (await client.connect(address)).stream(reflection, "ServerReflectionInfo");

  test("lists the services that answer", async () => {
    await using held = await heldServer();
    await using stream = await open(held.address);
    await stream.send({ host: "here", listServices: "*" });
    expect(await stream.next()).toMatchObject({
      validHost: "here",
      originalRequest: { host: "here", listServices: "*" },
      listServicesResponse: {
        service: [
          { name: "externalscaler.ExternalScaler" },
          { name: "grpc.health.v1.Health" },
          { name: "grpc.reflection.v1.ServerReflection" },
          { name: "grpc.reflection.v1alpha.ServerReflection" },
        ],
      },
    });
  });

  test.each([
    ["externalscaler.ExternalScaler", "externalscaler/externalscaler.proto"],
    ["externalscaler.ExternalScaler.StreamMetricSpec", "externalscaler/externalscaler.proto"],
    ["externalscaler.ScaledObjectRef", "externalscaler/externalscaler.proto"],
    ["grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"],
    [`${version}.ErrorResponse`, `${version.replaceAll(".", "/")}/reflection.proto`],
  ])("finds the file of %s", async (fileContainingSymbol, file) => {
    await using held = await heldServer();
    await using stream = await open(held.address);
    await stream.send({ fileContainingSymbol });
    const names = fileNames(await stream.next());
    expect(names).toEqual([file]);
    await stream.send({ fileByFilename: file });
    expect(fileNames(await stream.next())).toEqual(names);
  });

  test.each([
    ['symbol "externalscaler.Nobody"', { fileContainingSymbol: "externalscaler.Nobody" }],
    ['file "nobody.proto"', { fileByFilename: "nobody.proto" }],
    ['message "a.B"', { allExtensionNumbersOfType: "a.B" }],
    [
      'message "grpc.health.v1.HealthCheckResponse.ServingStatus"',
      { allExtensionNumbersOfType: "grpc.health.v1.HealthCheckResponse.ServingStatus" },
    ],
    [
      'extension 7 of "a.B"',
      { fileContainingExtension: { containingType: "a.B", extensionNumber: 7 } },
    ],
  ])("%s is not found, and the stream goes on", async (what, asked) => {
    await using held = await heldServer();
    await using stream = await open(held.address);
    await stream.send(asked);
    expect(await stream.next()).toMatchObject({
      errorResponse: {
        errorCode: 5,
        errorMessage: `Cannot find ${what}: no registered service refers to it`,
      },
    });
    await stream.send({ fileContainingSymbol: "externalscaler.MetricSpec" });
    expect(fileNames(await stream.next())).toEqual(["externalscaler/externalscaler.proto"]);
  });

  test("a known message has no extensions", async () => {
    await using held = await heldServer();
    await using stream = await open(held.address);
    await stream.send({ allExtensionNumbersOfType: "externalscaler.MetricSpec" });
    expect(await stream.next()).toMatchObject({
      allExtensionNumbersResponse: {
        baseTypeName: "externalscaler.MetricSpec",
        extensionNumber: [],
      },
    });
  });

  test("an empty request is INVALID_ARGUMENT", async () => {
    await using held = await heldServer();
    const stream = await open(held.address);
    await stream.send({ host: "here" });
    const details = "Cannot reflect: the request is empty; ask for services, a file or a symbol";
    expect(await stream.ended).toEqual({ code: "INVALID_ARGUMENT", details });
  });

  test("ends with OK when the client has no more questions, and when the server stops", async () => {
    await using held = await heldServer();
    const first = await open(held.address);
    await first.finish();
    expect((await first.ended).code).toBe("OK");

    const second = await open(held.address);
    await second.send({ listServices: "" });
    await second.next();
    await held.server.stop();
    expect((await second.ended).code).toBe("OK");
    expect(held.logged).toEqual([]);
  });
});
