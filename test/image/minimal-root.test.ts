/**
 * The image's runtime stage without a container engine: the binary in a read-only root that holds
 * only what the base holds, as the image's user, with NVML mounted from outside.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { foreignClient } from "../foreign/client.ts";
import { nvmlStandin, type Standin } from "../nvml-standin/control.ts";
import { binary, serveBinary } from "../support/binary.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

const script = join(import.meta.dir, "minimal-root.sh");
const library = "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1";
let folder: string;
let nvml: Standin;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "image-"));
  nvml = await nvmlStandin();
  // The image's user is nobody of this machine, and the stand-in keeps its log there.
  chmodSync(dirname(nvml.env.NVML_STANDIN_CONTROL), 0o777);
  nvml.set({ gpus: 2, each: { utilizationPercent: 64 } });
});
afterAll(() => {
  nvml.remove();
  rmSync(folder, { recursive: true });
});

/** The start of a command that runs the binary in a root of its own. */
function inRoot(name: string): string[] {
  const control = dirname(nvml.env.NVML_STANDIN_CONTROL);
  const mounts = ["-v", `${nvml.libraryPath}:${library}`, "-v", `${control}:${control}`];
  return ["sh", script, join(folder, name), binary(), ...mounts, "--"];
}

test("snapshot finds the mounted library by itself", () => {
  const { stdout, stderr, exitCode } = Bun.spawnSync(
    [...inRoot("snapshot"), "snapshot", "--format", "json"],
    { env: { ...process.env, ...nvml.env } },
  );
  expect(stderr.toString()).toBe("");
  expect(exitCode).toBe(0);
  const { devices } = JSON.parse(stdout.toString());
  expect(devices).toHaveLength(2);
  expect(devices[0].readings.utilizationPercent).toBe(64);
});

test("serve answers KEDA, and stops when asked", async () => {
  await using serving = await serveBinary({
    command: inRoot("serve"),
    args: ["--sample-interval", "100ms"],
    env: { PATH: process.env["PATH"] ?? "", ...nvml.env },
  });
  await using client = foreignClient();
  const channel = await client.connect(`127.0.0.1:${serving.grpcPort}`);
  const call = { scaledObjectRef: { scalerMetadata: { targetGpuUtilization: "80" } } };
  await eventually(
    async () =>
      (await channel.unary("externalscaler.ExternalScaler", "GetMetrics", call)).answer?.[
        "metricValues"
      ],
    [{ metricName: "gpu-utilization", metricValue: "64", metricValueFloat: 64 }],
  );
  // The process that was started is `unshare`; the binary is its only child.
  const { pid } = serving;
  process.kill(Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")), "SIGTERM");
  expect(await serving.exited).toBe(0);
});

test("the binary needs nothing but glibc", () => {
  const { stdout } = Bun.spawnSync(["ldd", binary()]);
  const libraries = [...stdout.toString().matchAll(/^\s*(\S+?)(?:\.so\S*)? /gm)].map(([, name]) =>
    name?.split("/").at(-1),
  );
  expect(libraries.toSorted()).toEqual(
    expect.arrayContaining(["libc", "libdl", "libm", "libpthread"]),
  );
  for (const name of libraries)
    expect(["linux-vdso", "ld-linux-x86-64", "libc", "libdl", "libm", "libpthread"]).toContain(
      name ?? "",
    );
});
