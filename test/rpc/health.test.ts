import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ForeignClient, foreignClient } from "../foreign/client.ts";
import { heldServer } from "./stand-in.ts";

const health = "grpc.health.v1.Health";
const scaler = "externalscaler.ExternalScaler";
let client: ForeignClient;
beforeAll(() => {
  client = foreignClient();
});
afterAll(() => client[Symbol.asyncDispose]());

test.each(["", scaler])("Check of %p follows the data", async (service) => {
  await using held = await heldServer();
  const channel = await client.connect(held.address);
  const check = async () => (await channel.unary(health, "Check", { service })).answer;
  expect(await check()).toEqual({ status: "SERVING" });
  held.setServing(false);
  expect(await check()).toEqual({ status: "NOT_SERVING" });
  held.setServing(true);
  expect(await check()).toEqual({ status: "SERVING" });
});

test("Check of an unknown service is NOT_FOUND", async () => {
  await using held = await heldServer();
  const channel = await client.connect(held.address);
  expect(await channel.unary(health, "Check", { service: "nobody.Nothing" })).toEqual({
    code: "NOT_FOUND",
    details:
      'Cannot tell the health of "nobody.Nothing": known are "" and "externalscaler.ExternalScaler"',
  });
});

test("List names every service that Check knows", async () => {
  await using held = await heldServer();
  const channel = await client.connect(held.address);
  held.setServing(false);
  const { answer } = await channel.unary(health, "List");
  const status = { status: "NOT_SERVING" };
  expect(answer).toEqual({ statuses: { "": status, [scaler]: status } });
});

test("Watch sends the status at once and when it changes", async () => {
  await using held = await heldServer();
  const channel = await client.connect(held.address);
  await using stream = await channel.stream(health, "Watch", { service: scaler });
  expect(await stream.next()).toEqual({ status: "SERVING" });
  held.setServing(true);
  held.setServing(false);
  expect(await stream.next()).toEqual({ status: "NOT_SERVING" });
  held.setServing(true);
  expect(await stream.next()).toEqual({ status: "SERVING" });
  expect(stream.waiting()).toEqual([]);
});

test("Watch of an unknown service is SERVICE_UNKNOWN and stays open", async () => {
  await using held = await heldServer();
  const channel = await client.connect(held.address);
  await using stream = await channel.stream(health, "Watch", { service: "nobody.Nothing" });
  expect(await stream.next()).toEqual({ status: "SERVICE_UNKNOWN" });
  expect(held.open.streams).toBe(1);
});

test("Watch hears NOT_SERVING before a stop ends it", async () => {
  await using held = await heldServer();
  const channel = await client.connect(held.address);
  const stream = await channel.stream(health, "Watch");
  expect(await stream.next()).toEqual({ status: "SERVING" });
  const stopped = held.server.stop();
  expect(await stream.next()).toEqual({ status: "NOT_SERVING" });
  expect((await stream.ended).code).toBe("OK");
  await stopped;
});
