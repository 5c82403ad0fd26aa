import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { scripts } from "../../package.json" with { type: "json" };

const root = join(import.meta.dir, "..", "..");
const read = (path: string) => readFileSync(join(root, ".github", path), "utf8");
const filesOf = (folder: string) =>
  [...new Bun.Glob("*.{yml,yaml}").scanSync({ cwd: join(root, ".github", folder) })].toSorted();

const Workflow = v.looseObject({
  name: v.string(),
  permissions: v.strictObject({ contents: v.literal("read") }),
  jobs: v.record(
    v.string(),
    v.looseObject({
      "timeout-minutes": v.number(),
      if: v.optional(v.string()),
      permissions: v.optional(v.record(v.string(), v.picklist(["read", "write"]))),
      steps: v.array(
        v.looseObject({
          uses: v.optional(v.string()),
          run: v.optional(v.string()),
          with: v.optional(v.record(v.string(), v.unknown())),
          env: v.optional(v.record(v.string(), v.string())),
        }),
      ),
    }),
  ),
});

/** Scripts that a command names and package.json lacks, and files that are not there. */
function unknownIn(command: string): readonly string[] {
  const named = [...command.matchAll(/\b(?:npm|bun) run ([\w:-]+)/g)].map(([, name = ""]) => name);
  const tests = /\bnpm test\b/.test(command) ? ["test"] : [];
  const paths = command.match(/(?<![\w"$./])(?:\.\/)?(?:tools|test|deploy|bench)\/[\w./-]+/g) ?? [];
  return [
    ...[...named, ...tests].filter((name) => !Object.hasOwn(scripts, name)),
    ...paths.filter((path) => !existsSync(join(root, path))),
  ];
}

test("there are workflows for every change, for a whole cluster, and for releases", () => {
  expect(filesOf("workflows")).toEqual(["ci.yml", "e2e.yml", "release.yml"]);
});

describe.each(filesOf("workflows"))("workflow %s", (file) => {
  const text = read(`workflows/${file}`);
  const { jobs } = v.parse(Workflow, Bun.YAML.parse(text));
  const steps = Object.values(jobs).flatMap((job) => job.steps);

  test("runs only what the repository has", () => {
    expect(steps.flatMap(({ run = "" }) => unknownIn(run))).toEqual([]);
    // The whole cluster is tried beside the tests, which another workflow runs.
    const isTried = (run = "") => run === "npm test" || run.startsWith("npm run e2e ");
    expect(steps.some(({ run }) => isTried(run))).toBe(true);
  });

  test("needs no secret, and leaves no token in the checkout", () => {
    expect(text).not.toMatch(/\bsecrets\b/);
    for (const { uses = "", with: options } of steps)
      if (uses.startsWith("actions/checkout@"))
        expect(options).toMatchObject({ "persist-credentials": false });
  });

  test("writes only in jobs of a tag, and only they take the run's token, step by step", () => {
    const tokens = (value: unknown) => JSON.stringify(value)?.match(/github\.token/g)?.length ?? 0;
    const writing = Object.values(jobs).filter(({ permissions }) => permissions !== undefined);
    for (const job of writing) expect(job.if).toBe("github.ref_type == 'tag'");
    const inSteps = writing.flatMap((job) => job.steps.map(({ env }) => tokens(env)));
    expect(inSteps.reduce((sum, count) => sum + count, 0)).toBe(tokens(text));
  });

  test("hands what GitHub says to a command as a variable, never as a part of it", () => {
    expect(steps.filter(({ run = "" }) => run.includes("${{"))).toEqual([]);
  });

  test("names each action by its commit, with the version beside it", () => {
    const uses = text.match(/uses: .*/g) ?? [];
    expect(
      uses.filter((use) => !/^uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(use)),
    ).toEqual([]);
  });
});

test("each job of a release may write only what it publishes", () => {
  const { jobs } = v.parse(Workflow, Bun.YAML.parse(read("workflows/release.yml")));
  const permissions = Object.entries(jobs).map(([name, job]) => [name, job.permissions]);
  const proofs = { "id-token": "write", attestations: "write" };
  expect(Object.fromEntries(permissions)).toEqual({
    artifacts: undefined,
    image: { contents: "read", packages: "write", ...proofs },
    publish: { contents: "write", ...proofs },
  });
});

test("an action and a tool have one version in all workflows", () => {
  const versions = new Map<string, Set<string>>();
  for (const file of filesOf("workflows"))
    for (const [, name = "", version = ""] of read(`workflows/${file}`).matchAll(
      /(?:uses: |go install )([\w./-]+)@(\S+)/g,
    ))
      versions.set(name, (versions.get(name) ?? new Set()).add(version));
  expect(versions.size).toBeGreaterThan(5);
  expect([...versions].filter(([, used]) => used.size > 1)).toEqual([]);
});

describe("a workflow's command", () => {
  test.each([
    ["npm run none", ["none"]],
    ["bun run build:none && npm run types", ["build:none"]],
    ["node tools/none.mjs", ["tools/none.mjs"]],
    ["npm test && node tools/bun.mjs test ./test/none.ts", ["./test/none.ts"]],
    ["helm package deploy/helm/keda-gpu-scaler", []],
  ])("%s", (command, unknown) => expect(unknownIn(command)).toEqual(unknown));
});

const Form = v.strictObject({
  name: v.string(),
  description: v.string(),
  labels: v.array(v.string()),
  body: v.array(
    v.looseObject({
      type: v.picklist(["markdown", "textarea", "input"]),
      attributes: v.looseObject({}),
    }),
  ),
});

test.each(["bug.yml", "feature.yml"])("issue form %s is one", (file) => {
  const { body } = v.parse(Form, Bun.YAML.parse(read(`ISSUE_TEMPLATE/${file}`)));
  const ids = body.flatMap(({ id }) => (id === undefined ? [] : [id]));
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBeGreaterThan(2);
});

test("the forms are the only way to open an issue", () => {
  expect(filesOf("ISSUE_TEMPLATE")).toEqual(["bug.yml", "config.yml", "feature.yml"]);
  expect(Bun.YAML.parse(read("ISSUE_TEMPLATE/config.yml"))).toEqual({
    blank_issues_enabled: false,
  });
});
