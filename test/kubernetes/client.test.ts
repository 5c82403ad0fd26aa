import { afterEach, expect, test } from "bun:test";
import { apiAnswerBytesMax, apiAnswerMs, apiPageItems, apiSilentMs } from "#core/limits.ts";
import { informer } from "#kubernetes/informer.ts";
import { podOf } from "#workload/pod.ts";
import {
  inClusterClient,
  requestsOf,
  shiftedClock,
  startFake,
  stopAll,
  until,
  whenOver,
} from "../fake-kubernetes/harness.ts";
import { podObject } from "../fake-kubernetes/objects.ts";
import { manualClock } from "../support/manual-clock.ts";

afterEach(stopAll);

const secure = { tls: true, token: "first" };
const pods = "/api/v1/namespaces/default/pods";

function hugePod() {
  const pod = podObject({ name: "huge" });
  const annotations = { text: "x".repeat(apiAnswerBytesMax) };
  return { ...pod, metadata: { ...pod.metadata, annotations } };
}

test.each([
  ["/api/v1/namespaces/default/pods", "grant list and watch on it to this ServiceAccount"],
  ["/apis/keda.sh/v1alpha1/scaledobjects", "grant list and watch on it to this ServiceAccount"],
  ["/apis/apps/v1/namespaces/a/deployments/b/scale", "grant get on it to this ServiceAccount"],
  ["/apis/apps/v1", "bind the ClusterRole system:discovery to this ServiceAccount"],
  ["/api/v1", "bind the ClusterRole system:discovery to this ServiceAccount"],
])("a refused %s is met with what the chart grants", async (path, advice) => {
  const fake = await startFake(secure);
  const { client } = await inClusterClient(fake, shiftedClock());
  fake.fail({ path: /./, status: 403, text: '{"message":"no\\nway"}' });
  await expect(client.get(path)).rejects.toThrow(
    `Cannot get ${path}: status 403, no way; ${advice}`,
  );
});

test("what is applied goes under our name, and a refusal says which right is missing", async () => {
  const fake = await startFake(secure);
  const { client } = await inClusterClient(fake, shiftedClock());
  fake.apply(podObject({ name: "a", uid: "1" }));
  const metadata = { name: "a", namespace: "default", annotations: { note: "ü" } };
  await client.apply(`${pods}/a`, { apiVersion: "v1", kind: "Pod", metadata });
  expect(await client.get(`${pods}/a`)).toMatchObject({
    metadata: { annotations: { note: "ü" }, managedFields: [{ manager: "keda-gpu-scaler" }] },
  });
  const other = { ...metadata, uid: "2" };
  await expect(
    client.apply(`${pods}/a`, { apiVersion: "v1", kind: "Pod", metadata: other }),
  ).rejects.toThrow(`Cannot patch ${pods}/a: status 409, uid mismatch`);
  fake.fail({ path: /./, status: 403, text: '{"message":"no"}' });
  await expect(client.apply(`${pods}/a`, {})).rejects.toThrow(
    `Cannot patch ${pods}/a: status 403, no; grant patch on it to this ServiceAccount`,
  );
});

test("an answer above the limit is refused", async () => {
  const fake = await startFake(secure);
  const { client } = await inClusterClient(fake, shiftedClock());
  fake.apply(hugePod());
  await expect(client.get(pods)).rejects.toThrow(
    `Cannot get ${pods}: the answer is larger than ${apiAnswerBytesMax} bytes`,
  );
});

test("an event above the limit ends the watch", async () => {
  const fake = await startFake(secure);
  const { client } = await inClusterClient(fake, shiftedClock());
  const { signal } = new AbortController();
  const events = client.watch(pods, {}, { opened: () => fake.apply(hugePod()), signal });
  const drain = async () => {
    let count = 0;
    for await (const _event of events) count += 1;
    return count;
  };
  await expect(drain()).rejects.toThrow(`one event is larger than ${apiAnswerBytesMax} bytes`);
}, 30_000);

test("a refusal that is not the API server's own is quoted, and not all of it", async () => {
  const fake = await startFake(secure);
  const { client } = await inClusterClient(fake, shiftedClock());
  fake.fail({ path: /pods/, status: 502, text: "x".repeat(300) });
  await expect(client.get(pods)).rejects.toThrow(
    `Cannot get ${pods}: status 502, ${"x".repeat(200)}; it is asked again later`,
  );
  fake.fail({ path: /pods/, status: 404, text: "{}" });
  await expect(client.get(pods)).rejects.toThrow(
    `status 404, no message; check that its kind is installed and that it exists`,
  );
});

test("an answer that does not come is given up", async () => {
  const fake = await startFake(secure);
  const clock = shiftedClock();
  const { client } = await inClusterClient(fake, clock);
  fake.setDelay(60_000);
  const asked = client.get(pods);
  await until(() => fake.mostAtOnce("pods") === 1);
  clock.advance(apiAnswerMs);
  await expect(asked).rejects.toThrow(`no answer within ${apiAnswerMs} ms`);
});

test("a watch ends when nothing comes, and each part that comes puts that off", async () => {
  const fake = await startFake(secure);
  const clock = manualClock();
  const { client } = await inClusterClient(fake, clock);
  const { signal } = new AbortController();
  const query = { allowWatchBookmarks: "true" };
  let events = 0;
  let ended = false;
  const drain = async () => {
    for await (const _event of client.watch(pods, query, { opened: () => {}, signal })) events += 1;
    ended = true;
  };
  const drained = drain();
  await until(() => fake.openWatches() === 1);
  for (let minute = 1; minute <= 4; minute += 1) {
    fake.bookmark();
    await until(() => events === minute);
    clock.advance(apiSilentMs - 1);
  }
  expect(fake.openWatches()).toBe(1);
  clock.advance(1);
  await drained;
  expect(ended).toBe(true);
  await until(() => fake.openWatches() === 0);
});

test("a list whose later pages are gone begins anew", async () => {
  const fake = await startFake(secure);
  const names = Array.from({ length: apiPageItems + 1 }, (_, index) => `pod-${index}`);
  fake.apply(...names.map((name) => podObject({ name })));
  const clock = shiftedClock();
  const { client } = await inClusterClient(fake, clock);
  let compacted = false;
  const followed = informer({
    client,
    path: pods,
    transform: podOf,
    clock,
    random: () => 0,
    log: () => {},
    changed: () => {
      if (!compacted) fake.compact();
      compacted = true;
    },
  });
  whenOver(followed.stop);
  await until(followed.synced);
  expect(followed.items.size).toBe(names.length);
  expect(requestsOf(fake, "list", pods).map(({ status }) => status)).toEqual([200, 410, 200, 200]);
});

test("what is not ours in an event changes nothing", async () => {
  const fake = await startFake(secure);
  fake.apply(podObject({ name: "a", uid: "1" }));
  const clock = shiftedClock();
  const { client } = await inClusterClient(fake, clock);
  const changes: string[] = [];
  const followed = informer({
    client,
    path: pods,
    transform: podOf,
    clock,
    random: () => 0,
    log: () => {},
    changed: ({ key }) => changes.push(key),
    listed: () => changes.push("listed"),
  });
  whenOver(followed.stop);
  await until(() => fake.openWatches() === 1);
  fake.apply({ ...podObject({ name: "a", uid: "1" }), more: "heartbeat" });
  fake.apply(podObject({ name: "b", uid: "2" }));
  await until(() => followed.items.size === 2);
  expect(changes).toEqual(["default/a", "listed", "default/b"]);
});
