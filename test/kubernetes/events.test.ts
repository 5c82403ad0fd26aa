import { afterEach, expect, test } from "bun:test";
import { eventMessageBytesMax, objectNameCharsMax } from "#core/limits.ts";
import { eventWrite, type ObjectEvent } from "#kubernetes/events.ts";
import { inClusterClient, shiftedClock, startFake, stopAll } from "../fake-kubernetes/harness.ts";

afterEach(stopAll);

const object = {
  apiVersion: "keda.sh/v1alpha1",
  kind: "ScaledObject",
  namespace: "ml",
  name: "llm",
  uid: "uid-1",
};
const refused: ObjectEvent = {
  object,
  type: "Warning",
  reason: "TriggerRefused",
  topic: "trigger-invalid",
  message: "Cannot use the trigger",
  count: 1,
  firstAtMs: Date.UTC(2026, 0, 1, 12, 0, 0, 999),
  lastAtMs: Date.UTC(2026, 0, 1, 12, 30),
};

test("an event has what kubectl shows, and the object's uid by which it is found", () => {
  const { path, fields } = eventWrite(refused);
  expect(fields).toEqual({
    apiVersion: "v1",
    kind: "Event",
    metadata: { namespace: "ml", name: expect.stringMatching(/^llm\.[0-9a-f]{16}$/) },
    involvedObject: object,
    type: "Warning",
    reason: "TriggerRefused",
    message: "Cannot use the trigger",
    count: 1,
    firstTimestamp: "2026-01-01T12:00:00Z",
    lastTimestamp: "2026-01-01T12:30:00Z",
    source: { component: "keda-gpu-scaler" },
    reportingComponent: "keda-gpu-scaler",
  });
  const { metadata } = fields as { metadata: { name: string } };
  expect(path).toBe(`/api/v1/namespaces/ml/events/${metadata.name}`);
});

test("its name is the same for the same object, reason and topic, and for no other", () => {
  const pathOf = (event: Partial<ObjectEvent>) => eventWrite({ ...refused, ...event }).path;
  expect(pathOf({ message: "another", count: 2, lastAtMs: 0 })).toBe(pathOf({}));
  const others = [
    {},
    { reason: "DataMissing" },
    { topic: "scope-forbidden" },
    { object: { ...object, uid: "uid-2" } },
  ];
  expect(new Set(others.map(pathOf)).size).toBe(others.length);
});

test("the API server takes it with the longest name and message, creates it once and changes it", async () => {
  const fake = await startFake({ tls: true, token: "first" });
  const { client } = await inClusterClient(fake, shiftedClock());
  const name = `${"a.".repeat(objectNameCharsMax / 2)}a`;
  const longest = { ...refused, object: { ...object, name }, message: "ü€🙂".repeat(1_000) };
  for (const count of [1, 2]) {
    const { path, fields } = eventWrite({ ...longest, count });
    await client.apply(path, fields);
  }
  expect(fake.requests.map(({ status }) => status)).toEqual([201, 200]);
  const [event, ...others] = fake.events();
  expect(others).toEqual([]);
  expect(event).toMatchObject({ involvedObject: { name }, count: 2 });
  const message = `${event?.["message"]}`;
  expect(message).toMatch(/^(ü€🙂)+(ü€?)?…$/u);
  expect(Buffer.byteLength(message)).toBeGreaterThan(eventMessageBytesMax - 8);

  fake.fail({ path: /events/, status: 403, text: '{"message":"no"}' });
  const { path, fields } = eventWrite(refused);
  await expect(client.apply(path, fields)).rejects.toThrow(
    `Cannot patch ${path}: status 403, no; grant create and patch on it to this ServiceAccount`,
  );
});
