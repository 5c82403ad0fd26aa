import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

setDefaultTimeout(60_000);
const folder = mkdtempSync(join(tmpdir(), "e2e-"));
afterAll(() => rmSync(folder, { recursive: true }));
const script = join(import.meta.dir, "run.ts");

/** A cluster in two shell scripts: the replicas follow the devices at once, or are stuck. */
function standIn(name: string, replicas: string): readonly string[] {
  const [busy, calls] = [join(folder, `${name}-busy`), join(folder, `${name}-calls`)];
  const write = (command: string, body: string) => {
    const path = join(folder, `${name}-${command}`);
    writeFileSync(path, `#!/bin/sh\necho "${command} $*" >> ${calls}\n${body}\n`);
    chmodSync(path, 0o755);
    return path;
  };
  const helm = write(
    "helm",
    `[ "$1" = uninstall ] || sed -n 's/.*utilizationPercent: \\([0-9]*\\).*/\\1/p' | head -1 > ${busy}`,
  );
  const kubectl = write(
    "kubectl",
    `case "$*" in
*jsonpath*) busy=$(cat ${busy}); ${replicas} ;;
*apply*) if grep -q aggregration; then echo '"aggregration": unknown key' >&2; exit 1; fi ;;
esac`,
  );
  const args = ["--image", "registry.example/gpu:1", "--node", "one", "--patience", "3"];
  return [process.execPath, script, ...args, "--helm", helm, "--kubectl", kubectl];
}

async function finished(command: readonly string[]) {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

const follow = `if [ "$busy" = 92 ]; then echo 4; elif [ "$busy" = 0 ]; then echo 0; else echo 1; fi | tr -d '\\n'`;

test("each step is tried in order, and what was made is removed", async () => {
  const { code, stdout, stderr } = await finished(standIn("good", follow));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.trimEnd().split("\n")).toEqual([
    "ok: the devices are at 92 %",
    "ok: a typo is refused by kubectl apply",
    "ok: three devices at 92 % are 3.45 replicas of 80 %: 4",
    "ok: the devices are at 10 %",
    "ok: at 10 % one replica is enough: 1",
    "ok: the devices are at 0 %",
    "ok: idle, there is none: 0",
    "ok: the devices are at 92 %",
    "ok: in use again, they come back: 4",
    "passed",
  ]);
  const calls = readFileSync(join(folder, "good-calls"), "utf8");
  expect(calls).toContain("--set image.repository=registry.example/gpu --set image.tag=1");
  expect(calls.trimEnd().split("\n").slice(-4)).toEqual([
    "helm uninstall keda-gpu-scaler --namespace keda-gpu-scaler-e2e",
    "kubectl delete namespace keda-gpu-scaler-e2e --ignore-not-found --wait=false",
    "kubectl delete namespace keda-gpu-scaler-e2e-work --ignore-not-found --wait=false",
    "kubectl label node one keda-gpu-scaler-e2e-",
  ]);
});

test("replicas that do not come fail it, and it cleans up all the same", async () => {
  const { code, stdout, stderr } = await finished(standIn("stuck", "printf 3"));
  expect(code).toBe(1);
  expect(stderr).toBe("three devices at 92 % are 3.45 replicas of 80 %: 3 after 3 s, expected 4\n");
  expect(stdout).not.toContain("passed");
  expect(readFileSync(join(folder, "stuck-calls"), "utf8")).toContain("helm uninstall");
});
