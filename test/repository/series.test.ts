import { expect, test } from "bun:test";
import { join } from "node:path";

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
