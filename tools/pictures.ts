/**
 * Makes the pictures of `docs/pictures`: the status page in a browser, light and dark, and a screen
 * of `top`. Nodes and triggers are those of the tests' stand-in of a scaler, so no cluster is needed.
 *
 *     bun tools/pictures.ts
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { IdentifiedStatus } from "#observe/decision-log.ts";
import type { StatusNode } from "#observe/status.ts";
import { openPage, startBrowser } from "../test/page/browser.ts";
import { runCommand } from "../test/support/cli.ts";
import {
  answeredTrigger,
  refusedTrigger,
  type StatusServer,
  statusNode,
  statusServer,
} from "../test/support/status-server.ts";

const folder = join(import.meta.dir, "..", "docs", "pictures");
mkdirSync(folder, { recursive: true });

await using server = statusServer();
server.nodes.push(smallNode(0, 92), smallNode(1, 35));
server.triggers.push(withHistory(answeredTrigger("chat")), refusedTrigger("speech"));

await Bun.write(join(folder, "top.svg"), await screenOfTop(server));
await using browser = await startBrowser();
for (const theme of ["light", "dark"] as const) {
  await using open = await openPage(browser, { url: server.url, width: 1_000, theme });
  await open.page.locator(".card canvas").first().waitFor();
  await open.page.screenshot({ path: join(folder, `page-${theme}.png`), fullPage: true });
}

/** A node of which three devices are shown. */
function smallNode(number: number, utilizationPercent: number): StatusNode {
  const node = statusNode(number, utilizationPercent);
  return { ...node, devices: node.devices.slice(0, 3) };
}

/** A quarter of an hour in which two replicas became three, and are to become four. */
function withHistory(status: IdentifiedStatus): IdentifiedStatus {
  const nowMs = Date.now();
  const points = Array.from({ length: 91 }, (_, index) => {
    const share = index / 90;
    const value = Math.round(150 + 126 * share ** 2 + 14 * (1 - share) * Math.sin(index / 4));
    const replicas = index < 55 ? 2 : 3;
    const desiredReplicas = Math.ceil(value / 80);
    return { atMs: nowMs - (90 - index) * 10_000, value, active: true, replicas, desiredReplicas };
  });
  return { ...status, points };
}

/** What `top` shows in a terminal, as text in an SVG that follows the reader's light or dark theme. */
async function screenOfTop({ url }: StatusServer): Promise<string> {
  const columns = 100;
  const { stdout } = await runCommand(["top", "--count", "1", "--server", url], {
    terminal: () => ({ columns, rows: 30 }),
  });
  const lines = Bun.stripANSI(stdout).trimEnd().split("\n");
  const [fontSize, lineHeight, padding] = [13, 18, 14];
  const width = Math.max(...lines.map(({ length }) => length)) * fontSize * 0.602 + 2 * padding;
  const height = lines.length * lineHeight + 2 * padding;
  const text = lines.map((line, index) => {
    const y = padding + (index + 0.75) * lineHeight;
    return `<text x="${padding}" y="${y}">${Bun.escapeHTML(line)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.ceil(width)}" height="${height}">
<title>A screen of keda-gpu-scaler top</title>
<style>
rect { fill: #ffffff; stroke: #d0d7de; }
text { fill: #1f2328; font: ${fontSize}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; }
@media (prefers-color-scheme: dark) { rect { fill: #0d1117; stroke: #30363d; } text { fill: #e6edf3; } }
</style>
<rect x="0.5" y="0.5" width="${Math.ceil(width) - 1}" height="${height - 1}" rx="6"/>
${text.join("\n")}
</svg>
`;
}
