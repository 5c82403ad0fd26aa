import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasPrometheus, promtool, skipReason } from "../support/prometheus.ts";

const root = join(import.meta.dir, "..", "..");
const golden = await Bun.file(join(root, "test", "observe", "metrics.golden.txt")).text();
const shown = new Set([...golden.matchAll(/^# HELP (\S+)/gm)].map(([, name]) => name));
const documents = ["README.md", "deploy/README.md", "SECURITY.md"].concat(
  [...new Bun.Glob("docs/*.md").scanSync({ cwd: root })].toSorted(),
);

test.each(documents)("series that %s names are shown", async (document) => {
  const text = await Bun.file(join(root, document)).text();
  const named = [...text.matchAll(/\bkeda_gpu_scaler_[a-z_]*[a-z]\b/g)].map(([name]) => name);
  expect(named.filter((name) => !shown.has(name))).toEqual([]);
});

const folder = mkdtempSync(join(tmpdir(), "promql-"));
afterAll(() => rmSync(folder, { recursive: true }));

test.skipIf(!hasPrometheus)(
  `PromQL of the documents is what Prometheus takes${skipReason}`,
  async () => {
    const texts = await Promise.all(documents.map((path) => Bun.file(join(root, path)).text()));
    const expressions = texts.flatMap((text) =>
      [...text.matchAll(/^( *)```promql\n([\s\S]*?)^ *```$/gm)].map(([, , code = ""]) => code),
    );
    expect(expressions.length).toBeGreaterThan(5);
    const rules = expressions.map((expr, at) => ({ record: `document:${at}`, expr }));
    const file = join(folder, "rules.yaml");
    await Bun.write(file, JSON.stringify({ groups: [{ name: "documents", rules }] }));
    const { exitCode, output } = await promtool(["check", "rules", file]);
    expect([exitCode, output]).toEqual([0, expect.stringContaining(`${rules.length} rules found`)]);
  },
);
