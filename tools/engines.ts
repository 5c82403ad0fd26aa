/**
 * Writes `docs/engines.md` from the adapters. With `--check` it changes nothing and fails when the
 * document is not what they give.
 */
import { join } from "node:path";
import { type Adapter, offeredSignals } from "#engine/adapters/adapter.ts";
import { adapters } from "#engine/adapters/all.ts";
import { engineFacts } from "#metric/engines.ts";
import { code, table, written } from "./markdown.ts";

/** The day on which names were last compared with their definitions, those of some engines. */
const checkedOn = "2026-11-24";

function engineTable(): string {
  const rows = inOrder().map(({ engine, title, port, path, otherPaths, enable }) => {
    const places = [`${port}${path}`, ...otherPaths];
    const isInFront = engineFacts(engine).isFrontEnd ? "yes" : "";
    return [code(engine), title, places.join(", "), isInFront, enable];
  });
  const headings = ["engine", "what", "default port and path, then other paths"];
  return table([...headings, "in front of engines", "how its page is had"], rows);
}

function checkedTable(): string {
  const rows = inOrder().map(({ engine, checked: { versions, source, lacks } }) => [
    code(engine),
    versions,
    // Underscores would make words bold.
    source.replaceAll("__", "\\_\\_"),
    lacks,
  ]);
  return table(["engine", "versions", "source", "what is not there"], rows);
}

function signalTable(): string {
  const rows = inOrder().map((adapter) => {
    const signals = offeredSignals(adapter).map(code).join(", ");
    return [code(adapter.engine), signals, activityOf(adapter)];
  });
  return table(["engine", "signals", "in use while requests"], rows);
}

/** Of what waits, runs and arrives: what an engine tells. */
function activityOf({ signals }: Adapter): string {
  const { queue_depth, running_requests, concurrency, request_rate } = signals;
  const told = [
    ...(queue_depth ? ["wait"] : []),
    ...(running_requests ? ["run"] : []),
    ...(concurrency && !queue_depth && !running_requests ? ["are inside"] : []),
    ...(request_rate ? ["arrive or end"] : []),
  ];
  return told.length === 0 ? "does not tell" : told.join(", ");
}

function inOrder(): readonly Adapter[] {
  return adapters.toSorted((one, other) => (one.engine < other.engine ? -1 : 1));
}

const text = `# Engines

Generated from the adapters by \`bun run gen\`; do not edit. Names are compared with their definitions from time to time, the last of them on ${checkedOn}. A page of another version may have more or less: what it lacks is told, and never read as 0.

## Where a page is

${engineTable()}

## What an engine tells

A workload is in use, and kept from zero replicas, while its engines show any of the third column. What arrives counts for a minute.

${signalTable()}

## What the names were compared with

${checkedTable()}
`;

await written(join(import.meta.dir, "..", "docs", "engines.md"), text);
