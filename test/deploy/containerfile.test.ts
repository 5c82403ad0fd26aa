import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json";
import { chartPath } from "../../tools/render-manifests.ts";

const text = await Bun.file(join(import.meta.dir, "..", "..", "Containerfile")).text();
const argumentsOf = new Map(
  [...text.matchAll(/^ARG (\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]),
);

/**
 * Digests that nobody has written yet, because only a registry tells them. Whoever pins an image
 * takes its argument out of this list, and from then on it cannot lose its digest unnoticed.
 */
const unpinned: readonly string[] = ["BUN_DIGEST"];

test("every image that is built from has its registry, a tag and an argument for its digest", () => {
  const images = [...text.matchAll(/^FROM (?:--\S+ )?(\S+)/gm)].map(([, image = ""]) => image);
  expect(images).toHaveLength(2);
  const shape = /^[a-z0-9.]+\.[a-z]+\/[a-z0-9/-]+:[\w.${}-]+\$\{(\w+_DIGEST)\}$/;
  const digests = images.map((image) => shape.exec(image)?.[1]);
  expect(digests).toEqual(["BUN_DIGEST", "BASE_DIGEST"]);
});

test.each(["BUN_DIGEST", "BASE_DIGEST"])("%s is a digest, or known to be missing", (name) => {
  expect(argumentsOf.get(name)).toMatch(unpinned.includes(name) ? /^$/ : /^@sha256:[0-9a-f]{64}$/);
});

test("the image is built with the Bun that the repository pins", () => {
  expect(`bun@${argumentsOf.get("BUN_VERSION")}`).toBe(packageJson.packageManager);
});

test("nothing else is fetched while it is built", () => {
  expect(text).not.toMatch(/^(?:ADD|RUN .*(?:curl|wget|apt-get|pip|npm ))/m);
});

test("the image has the license texts of what is in it, and they reach the build", async () => {
  const ignored = await Bun.file(join(import.meta.dir, "..", "..", ".containerignore")).text();
  const copied = [...text.matchAll(/^COPY (?!--from)((?:\S+ )+)\S+$/gm)].flatMap(([, files = ""]) =>
    files.trim().split(" "),
  );
  expect(copied).toContainValues(["LICENSE", "THIRD_PARTY_LICENSES"]);
  expect(
    ignored
      .split("\n")
      .filter((line) => line.startsWith("!"))
      .toSorted(),
  ).toEqual(copied.map((file) => `!${file}`).toSorted());
});

// https://github.com/opencontainers/image-spec/blob/main/annotations.md
test("every image has OCI's labels of what it is, and one of a release those of the release", () => {
  const label = /\borg\.opencontainers\.image\.([\w.]+)="(.*)"/g;
  const labels = new Map(
    [...text.matchAll(label)].map(([, key = "", value = ""]) => [key, value] as const),
  );
  const own = ["title", "description", "licenses", "revision", "base.name"];
  expect([...labels.keys()]).toEqual(own);
  expect(labels.get("licenses")).toBe(packageJson.license);
  // An argument is known in the stage that declares it, and nowhere else.
  const [, runtime = ""] = text.split("FROM gcr.io");
  expect(labels.get("revision")).toMatch(/^\$\{REVISION\}$/);
  expect(runtime).toContain("\nARG REVISION=");

  const workflow = join(import.meta.dir, "..", "..", ".github", "workflows", "release.yml");
  const added = [...readFileSync(workflow, "utf8").matchAll(label)].map(([, key]) => key);
  expect(added).toEqual(["version", "created", "source"]);
});

test("it runs as nobody", () => {
  const [last = ""] = text.match(/^USER .*$/gm)?.slice(-1) ?? [];
  expect(last).toBe("USER 65532:65532");
});

test("Docker, which looks for a Dockerfile, is told the name of this one, wherever it builds", () => {
  const root = join(import.meta.dir, "..", "..");
  const places = ["*.md", "{deploy,docs}/*.md", "Containerfile", ".github/workflows/*.yml"].flatMap(
    (glob) => [...new Bun.Glob(glob).scanSync({ cwd: root, dot: true })],
  );
  const builds = places.flatMap((place) =>
    [...readFileSync(join(root, place), "utf8").matchAll(/\bdocker (?:buildx )?build .*/g)].map(
      ([command]) => `${place}: ${command}`,
    ),
  );
  expect(builds.length).toBeGreaterThan(4);
  expect(builds.filter((build) => !build.includes(" --file Containerfile "))).toEqual([]);
});

test.each(["README.md", "docs/getting-started.md"])(
  "%s: the image that is pushed has the tag that the chart asks for",
  async (document) => {
    const written = await Bun.file(join(import.meta.dir, "..", "..", document)).text();
    const tags = [...written.matchAll(/ --tag "\$IMAGE:(\S+)"/g)].map(([, tag]) => tag);
    const chart = Bun.YAML.parse(await Bun.file(join(chartPath, "Chart.yaml")).text());
    expect(tags).toEqual([(chart as { appVersion: string }).appVersion]);
    expect(written).toContain('--set image.repository="$IMAGE"');
  },
);
