/** `--profiles` of the compiled binary, with the file mounted as the kubelet mounts a ConfigMap. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { foreignClient } from "../foreign/client.ts";
import { runBinary, serveBinary } from "../support/binary.ts";

setDefaultTimeout(60_000);

const scaler = "externalscaler.ExternalScaler";
const folder = mkdtempSync(join(tmpdir(), "profiles-"));
const client = foreignClient();
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** Each version is a folder of its own, and one symbolic link is turned from the old to the new. */
function mount(version: number, text: string): void {
  const name = `..version-${version}`;
  mkdirSync(join(folder, name));
  writeFileSync(join(folder, name, "profiles.yaml"), text);
  symlinkSync(name, join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
}
const path = join(folder, "profiles.yaml");
const chat = (target: number, threshold: number) =>
  `profiles: { chat: { metric: gpu_utilization, target: ${target}, activationThreshold: ${threshold} } }`;
const specOf = (target: number) => ({
  metricSpecs: [
    { metricName: "gpu-utilization", targetSize: String(target), targetSizeFloat: target },
  ],
});

test("a changed profile reaches open streams, and a wrong one changes nothing", async () => {
  symlinkSync(join("..data", "profiles.yaml"), path);
  mount(1, chat(60, 0));
  await using serving = await serveBinary({ args: ["--collector", "mock", "--profiles", path] });
  const channel = await client.connect(`127.0.0.1:${serving.grpcPort}`);
  const ref = { name: "so", namespace: "ns", scalerMetadata: { profile: "chat" } };
  await using specs = await channel.stream(scaler, "StreamMetricSpec", ref);
  await using activity = await channel.stream(scaler, "StreamIsActive", ref);
  expect(await specs.next()).toEqual(specOf(60));
  expect(await activity.next()).toEqual({ result: true });

  mount(2, "profiles: { chat: { target: 0 } }");
  const { problems } = await serving.logged(
    "profiles file is invalid, the profiles before it stay",
  );
  expect(problems).toEqual([
    "profiles.chat.metric: required",
    expect.stringContaining("profiles.chat.target: must be a number from 0.001"),
  ]);
  expect(await channel.unary(scaler, "GetMetricSpec", ref)).toMatchObject({ answer: specOf(60) });

  mount(3, chat(70, 100));
  expect(await specs.next()).toEqual(specOf(70));
  expect(await channel.unary(scaler, "GetMetricSpec", ref)).toMatchObject({ answer: specOf(70) });
  let active = true;
  while (active) active = (await activity.next())["result"] === true;

  mount(4, "profiles: {}");
  const gone = { code: "INVALID_ARGUMENT", details: expect.stringContaining('got "chat"') };
  expect(await specs.ended).toEqual(gone);
  expect(await activity.ended).toEqual(gone);
});

test("a wrong file at the start is exit 1 with every problem", async () => {
  const wrong = join(folder, "wrong.yaml");
  writeFileSync(wrong, "profiles: { training: { metric: gpu_utilisation, target: 1 } }");
  const { exitCode, stderr } = await runBinary(["serve", "--profiles", wrong]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(
    `Cannot use profiles file ${wrong}: profiles.training: is built in and cannot be redefined; ` +
      "choose another name; profiles.training.metric: must be one of",
  );
});
