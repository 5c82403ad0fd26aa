import { expect, test } from "bun:test";
import { join } from "node:path";

const demo = join(import.meta.dir, "..", "..", "tools", "demo.ts");
const command = [process.execPath, demo];

interface Row {
  readonly workload: string;
  readonly ready: number;
  readonly asked: number;
}

function rowsOf(text: string): readonly Row[] {
  const pattern = /^\d\d:\d\d:\d\d {2}(\w+) +[\d.]+ +\d+ +\d+ +\S+ +[\d.]+ +(\d+) +(\d+)$/gm;
  return [...text.matchAll(pattern)].map(([, workload = "", ready, asked]) => ({
    workload,
    ready: Number(ready),
    asked: Number(asked),
  }));
}

/** What a process writes, as far as it has. */
function reading(stream: ReadableStream<Uint8Array>) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  return {
    /** @returns All that was written, once that is enough. */
    until: async (isEnough: (text: string) => boolean): Promise<string> => {
      while (!isEnough(text)) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`The demo ended before that:\n${text}`);
        text += decoder.decode(value, { stream: true });
      }
      return text;
    },
    rest: async (): Promise<string> => {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return text;
        text += decoder.decode(value, { stream: true });
      }
    },
  };
}

test("without a terminal there are rows, replicas that follow the load, and the reason for each change", async () => {
  const process = Bun.spawn([...command, "--speed", "1000"], { stdout: "pipe", stderr: "inherit" });
  const output = reading(process.stdout);
  const text = await output.until((all) => all.includes("woken by its gateway"));
  const most = Math.max(...rowsOf(text).map(({ ready }) => ready));
  expect(most).toBeGreaterThan(2);
  for (const workload of ["llm", "batch"]) {
    const asked = rowsOf(text).flatMap((row) => (row.workload === workload ? [row.asked] : []));
    expect(Math.max(...asked)).toBeGreaterThan(asked[0] ?? 0);
    expect(asked.at(-1) ?? 0).toBeLessThan(Math.max(...asked));
  }
  expect(text).toMatch(/llm {3}\d ▲ \d {3}HPA: \d+ \/ 16 = [\d.]+ asks for \d+.*of concurrency/);
  expect(text).toMatch(/batch \d ▲ \d {3}HPA: [\d.]+ \/ 80 = .*gpu_utilization/);
  expect(text).toMatch(/llm {3}\d ▼ 0 {3}KEDA: no trigger active for the cooldown of 120 s/);
  expect(text).not.toContain("\x1b");

  const [, address = ""] = /Status page: (\S+)/.exec(text) ?? [];
  expect(await (await fetch(address)).text()).toContain("<html");
  const json = async (path: string) => (await fetch(`${address}${path}`)).json();
  expect(await json("api/status")).toMatchObject({
    nodes: [{ name: "batch-0" }, { name: "h100-0" }, { name: "h100-1" }],
    triggers: [{ name: "batch" }, { name: "llm" }, { name: "llm" }],
  });
  const explained = await json("api/explain?namespace=ml&name=batch");
  expect(explained).toMatchObject([{ valueExplanation: { devices: [{ node: "batch-0" }] } }]);

  process.kill("SIGTERM");
  expect(await process.exited).toBe(0);
  expect(await output.rest()).toMatch(/GPU-hours .*\n(.*\n)*most replicas/);
}, 60_000);

/** A demo on a pseudo terminal, and all that it wrote there. */
async function onTerminal(env: Readonly<Record<string, string>>) {
  const decoder = new TextDecoder();
  let text = "";
  let seen: () => void = () => undefined;
  const process = Bun.spawn([...command, "--speed", "100"], {
    env: { ...Bun.env, TERM: "xterm", NO_COLOR: "", ...env },
    terminal: {
      cols: 80,
      rows: 30,
      data: (_terminal, data) => {
        text += decoder.decode(data, { stream: true });
        seen();
      },
    },
  });
  while (!text.includes("▲")) {
    const { promise, resolve } = Promise.withResolvers<void>();
    seen = resolve;
    await promise;
  }
  process.terminal?.write("\x03");
  const code = await process.exited;
  process.terminal?.close();
  return { code, text };
}

test("on a terminal bars fit 80 columns, and Ctrl-C gives the cursor back and sums up", async () => {
  const { code, text } = await onTerminal({});
  expect(code).toBe(0);
  expect(text.lastIndexOf("\x1b[?25h")).toBeGreaterThan(text.lastIndexOf("\x1b[?25l"));
  expect(text.slice(text.lastIndexOf("\x1b[?25h"))).toContain("GPU-hours");
  expect(text).toContain("\x1b[32m");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a terminal is sent.
  const lines = text.replaceAll(/\x1b\[[\d;?]*[A-Za-z]|\r/g, "").split("\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(lines.some((line) => line.includes("GPUs      "))).toBeTrue();
}, 60_000);

test("NO_COLOR leaves colours out, and nothing else", async () => {
  const { code, text } = await onTerminal({ NO_COLOR: "1" });
  expect(code).toBe(0);
  expect(text).toContain("┃");
  expect(text).not.toContain("\x1b[3");
}, 60_000);

function ran(...args: readonly string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command, ...args]);
  return { exitCode, stdout: `${stdout}`, stderr: `${stderr}` };
}

test("it ends by itself where it is said when, and sums up", () => {
  const { exitCode, stdout } = ran("--seconds", "0.5");
  expect(exitCode).toBe(0);
  expect(stdout).toContain("GPU-hours");
});

test("it tells its flags, and refuses what it does not know", () => {
  expect(ran("--help")).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("--speed") });
  const refusal = "--speed must be a number from 1 to 1000, got fast";
  expect(ran("--speed", "fast")).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining(refusal),
  });
  expect(ran("--sped", "2").exitCode).toBe(1);
});
