import { afterAll, beforeAll, expect, test } from "bun:test";
import { runCommand } from "../support/cli.ts";
import { answeredTrigger, type StatusServer, statusServer } from "../support/status-server.ts";
import { spread, usageHistory } from "../support/usage.ts";

/** Devices without a pause, up to 20 requests at once, and replicas that come and go. */
const saturated = usageHistory(200, (minute) => ({
  replicas: minute % 10 < 5 ? 5 : 2,
  desiredReplicas: minute % 10 < 5 ? 5 : 2,
  utilizationPercent: spread(97),
  engine: { name: "vllm", waiting: 0, running: 20, runningMost: 20, unqueuedMost: 20 },
}));
const short = usageHistory(20, () => ({ utilizationPercent: spread(97) }));

let server: StatusServer;
beforeAll(() => {
  server = statusServer();
  server.triggers.push(...["llm", "tts", "new"].map((name) => answeredTrigger(name)));
  server.usage.set("ml/llm", saturated);
  server.usage.set("ml/tts", short);
});
afterAll(() => server.stop());
const advise = (...args: string[]) =>
  runCommand(["advise", "--server", `127.0.0.1:${server.port}`, ...args]);
const squeezed = (text: string) => text.replaceAll(/\s+/g, " ");
const columns = (text: string) => Math.max(...text.split("\n").map(({ length }) => length));

test("without a name has a line for each that something is recommended for", async () => {
  const { exitCode, stdout } = await advise();
  expect(exitCode).toBe(0);
  expect(stdout).toBe("ml/llm (seen for 3 h): utilization-saturated, replicas-restless\n");
});

test("of one says what was observed, what to do, why, and what to try next", async () => {
  const { exitCode, stdout } = await advise("ml/llm");
  expect(exitCode).toBe(0);
  const text = squeezed(stdout);
  for (const part of [
    "ml/llm observed seen for 3 h, 200 of 200 minutes busy and 0 idle, 2 to 5 replicas",
    "reads gpu_utilization with target 80",
    "engine vllm",
    "1. utilization-saturated do Do not scale on gpu_utilization; take requests, with profile",
    "why Utilization was 90 % or more on average of all replicas in 200 of 200 busy minutes",
    'metadata profile: llm-concurrency, targetValue: "14"',
    "2. replicas-restless do Set behavior.scaleDown.stabilizationWindowSeconds to",
    "next keda-gpu-scaler simulate --scaledobject",
  ])
    expect(text).toContain(part);
  expect(columns(stdout)).toBeLessThanOrEqual(96);
});

test("of one that was observed too shortly says so, and recommends nothing", async () => {
  const { stdout } = await advise("ml/tts");
  expect(squeezed(stdout)).toContain(
    "lacking Not enough observed to judge the signal: 20 busy minutes in 20 min, and it takes 30",
  );
  expect(stdout).not.toContain("1.");
  expect(stdout).not.toContain("next");
});

test("of one that was not observed says why", async () => {
  const { exitCode, stdout } = await advise("ml/new");
  expect(exitCode).toBe(0);
  expect(squeezed(stdout)).toContain("Nothing was observed of ml/new yet");
  expect(columns(stdout)).toBeLessThanOrEqual(96);
});

test("as JSON has the evidence", async () => {
  const [one] = JSON.parse((await advise("ml/llm", "--output", "json")).stdout);
  expect(one).toMatchObject({
    name: "llm",
    recommendations: [{ evidence: { saturatedMinutes: 200 } }, { level: "change" }],
  });
  expect(JSON.parse((await advise("--output", "json")).stdout)).toEqual([one]);
  expect(JSON.parse((await advise("ml/new", "--output", "json")).stdout)).toEqual([]);
});

test("of one that the scaler does not know suggests one that is near", async () => {
  const { exitCode, stderr } = await advise("ml/lm");
  expect(exitCode).toBe(2);
  expect(stderr).toContain("the scaler knows no trigger of ml/lm; did you mean ml/llm?");
});

test("where nothing is recommended says so", async () => {
  await using other = statusServer();
  other.triggers.push(answeredTrigger("llm"));
  other.usage.set(
    "ml/llm",
    usageHistory(60, () => ({ utilizationPercent: spread(60) })),
  );
  const server = `127.0.0.1:${other.port}`;
  expect((await runCommand(["advise", "--server", server])).stdout).toStartWith("Nothing is");
  const { stdout } = await runCommand(["advise", "ml/llm", "--server", server]);
  expect(stdout).toContain("Nothing is recommended: what was observed fits its triggers.");
});
