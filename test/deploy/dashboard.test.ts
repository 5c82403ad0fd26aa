import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { processMetrics } from "#observe/metrics.ts";
import { deletionCosts, deviceUse, engines, fleet, node, triggers } from "../observe/stats.ts";
import { manualClock } from "../support/manual-clock.ts";
import { alertRules, dashboards, rulesPath } from "./monitoring.ts";

const boards = await dashboards();
const rules = await alertRules();
const operating = await Bun.file(join(import.meta.dir, "../../docs/operating.md")).text();

/** Names of every metric, with TLS or without, of whichever role. */
async function exportedNames(): Promise<ReadonlySet<string>> {
  const metrics = processMetrics({
    clock: manualClock(),
    version: "0.0.0",
    revision: "test",
    isFresh: () => true,
    certificateExpiresAtMs: () => 0,
    node,
    fleet,
    engines,
    triggers: () => triggers,
    deletionCosts,
    deviceUse,
  });
  const text = await metrics.text();
  metrics.stop();
  return new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = ""]) => name));
}

/** Metrics that a text names, without those that are a part of a regular expression. */
function namesIn(text: string): readonly string[] {
  return (text.match(/\b(?:keda_gpu_scaler|process)_\w+(?!\w*\()/g) ?? [])
    .map((name) => name.replace(/_bucket$/, ""))
    .filter((name) => !name.endsWith("_"));
}

test.each(boards.map((board) => [board.file, board] as const))(
  "every metric that %s shows is one that a process exports",
  async (_file, board) => {
    const shown = new Set(namesIn(JSON.stringify(board)));
    const exported = await exportedNames();
    expect([...shown].filter((name) => !exported.has(name))).toEqual([]);
    expect(shown.size).toBeGreaterThan(1);
  },
);

test.each(boards.map((board) => [board.file, board] as const))(
  "every panel of %s asks for something, has a number of its own and a place of its own",
  (_file, { panels }) => {
    const ids = panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { type, targets } of panels) expect(targets.length > 0).toBe(type !== "row");
    const overlaps = panels.filter(({ gridPos: one }, place) =>
      panels
        .slice(place + 1)
        .some(
          ({ gridPos: other }) =>
            one.x < other.x + other.w &&
            other.x < one.x + one.w &&
            one.y < other.y + other.h &&
            other.y < one.y + one.h,
        ),
    );
    expect(overlaps).toEqual([]);
  },
);

test.each(boards.map((board) => [board.file, board] as const))(
  "every variable that %s uses is defined, or is Grafana's",
  (_file, { templating, ...board }) => {
    const known = new Set(templating.list.map(({ name }) => name));
    const used = JSON.stringify([board, templating.list]).match(/\$\{?(?!_)\w+/g) ?? [];
    const names = used.map((name) => name.replace(/^\$\{?/, ""));
    expect(names.filter((name) => !known.has(name))).toEqual([]);
  },
);

test("dashboards have their file's name as uid, so that an update takes the place of the old one", () => {
  expect(boards.map(({ uid, file }) => `${uid}.json` === file)).toEqual(boards.map(() => true));
});

describe("alerts", () => {
  test("ask for metrics that a process exports", async () => {
    const exported = await exportedNames();
    expect(
      rules.flatMap(({ expr }) => namesIn(expr)).filter((name) => !exported.has(name)),
    ).toEqual([]);
    expect(await Bun.file(rulesPath).text()).not.toContain("\t");
  });

  test("have names of their own, and a row with how long they wait and the runbook", () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    const rows = rules.map(({ alert, for: wait, annotations }) => {
      const time = wait.replace("m", " min").replace("h", " h");
      const anchor = annotations.runbook.replace("docs/operating.md", "");
      return { alert, time, anchor };
    });
    const written = [
      ...operating.matchAll(
        /^\| `(GpuScaler\w+)` +\| ([\w ]+?) +\| \[[^\]]+\]\((#[\w-]+)\) +\|$/gm,
      ),
    ].map(([, alert, time, anchor]) => ({ alert, time, anchor }));
    expect<unknown>(written).toEqual(rows);
  });

  test("name a runbook that is there", () => {
    const anchors = [...operating.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    );
    for (const { annotations } of rules) {
      const [path, anchor = ""] = annotations.runbook.split("#");
      expect(path).toBe("docs/operating.md");
      expect(anchors).toContain(anchor);
    }
  });
});
