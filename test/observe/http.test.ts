import { afterAll, expect, test } from "bun:test";
import { startHttp } from "#observe/http.ts";

let unready: string | undefined;
const server = startHttp({
  bind: "127.0.0.1",
  port: 0,
  metrics: { text: async () => "one 1\n", contentType: "text/plain; version=0.0.4" },
  unready: () => unready,
});
afterAll(server.stop);

const get = async (path: string) => {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
  const { status, headers } = response;
  return [status, headers.get("content-type"), await response.text()];
};
const plain = "text/plain; charset=utf-8";

test("the process is alive whatever it waits for, and ready when it waits for nothing", async () => {
  unready = undefined;
  expect(await get("/healthz")).toEqual([200, plain, "ok\n"]);
  expect(await get("/readyz")).toEqual([200, plain, "ok\n"]);
  unready = "the agents have not been heard yet";
  expect(await get("/healthz")).toEqual([200, plain, "ok\n"]);
  expect(await get("/readyz")).toEqual([503, plain, `not ready: ${unready}\n`]);
});

test("metrics come in their own content type, and other paths are not found", async () => {
  expect(await get("/metrics")).toEqual([200, "text/plain; version=0.0.4", "one 1\n"]);
  expect(await get("/")).toEqual([
    404,
    plain,
    "not found; there are /healthz, /metrics, /readyz\n",
  ]);
});

test("a port that is taken is an error, and a stop frees it", async () => {
  const options = {
    bind: "127.0.0.1",
    port: 0,
    metrics: { text: async () => "", contentType: "" },
  };
  const first = startHttp({ ...options, unready: () => undefined });
  const again = () => startHttp({ ...options, port: first.port, unready: () => undefined });
  expect(again).toThrow();
  await first.stop();
  const second = again();
  expect(second.port).toBe(first.port);
  await second.stop();
});
