/**
 * Makes the pictures of `docs/pictures`: the status page in a browser, light and dark, a screen of `top`,
 * and the demo's panel. Nodes and triggers of the first are those of the tests' stand-in of a scaler.
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
import { demoCluster } from "./demo/cluster.ts";
import { panel } from "./demo/panel.ts";
import { coloured } from "./demo/text.ts";

const folder = join(import.meta.dir, "..", "docs", "pictures");
mkdirSync(folder, { recursive: true });

await using server = statusServer();
server.nodes.push(smallNode(0, 92), smallNode(1, 35));
server.triggers.push(withHistory(answeredTrigger("chat")), refusedTrigger("speech"));

await Bun.write(join(folder, "top.svg"), await screenOfTop(server));
await Bun.write(join(folder, "demo.svg"), demoPanel());
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

/** What `top` shows in a terminal. */
async function screenOfTop({ url }: StatusServer): Promise<string> {
  const { stdout } = await runCommand(["top", "--count", "1", "--server", url], {
    terminal: () => ({ columns: 100, rows: 30 }),
  });
  const text = Bun.stripANSI(stdout).trimEnd();
  return terminalPicture("A screen of keda-gpu-scaler top", text.split("\n"));
}

/** The demo after an hour of its day. */
function demoPanel(): string {
  const cluster = demoCluster(1);
  for (let second = 0; second < 3_600; second += 1) cluster.advance();
  return terminalPicture(
    "The panel of npm run demo",
    panel(cluster.workloads, coloured).slice(0, -1),
  );
}

/** Lines of a terminal as an SVG that follows the reader's light or dark theme. */
function terminalPicture(title: string, lines: readonly string[]): string {
  const [fontSize, lineHeight, padding] = [13, 18, 14];
  const columns = Math.max(...lines.map((line) => Bun.stringWidth(line)));
  const width = Math.ceil(columns * fontSize * 0.602 + 2 * padding);
  const height = lines.length * lineHeight + 2 * padding;
  const text = lines.map((line, index) => {
    const y = padding + (index + 0.75) * lineHeight;
    return `<text x="${padding}" y="${y}">${spans(line)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
<title>${title}</title>
<style>
rect { fill: #ffffff; stroke: #d0d7de; }
text { fill: #1f2328; font: ${fontSize}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; }
.c1 { font-weight: bold; } .c2 { fill: #656d76; }
.c31 { fill: #cf222e; } .c32 { fill: #1a7f37; } .c33 { fill: #9a6700; } .c36 { fill: #1b7c83; }
@media (prefers-color-scheme: dark) {
rect { fill: #0d1117; stroke: #30363d; } text { fill: #e6edf3; } .c2 { fill: #8b949e; }
.c31 { fill: #ff7b72; } .c32 { fill: #3fb950; } .c33 { fill: #d29922; } .c36 { fill: #39c5cf; }
}
</style>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6"/>
${text.join("\n")}
</svg>
`;
}

/** Each stretch of a line by the number of its colour, which ends with the next escape sequence. */
function spans(line: string): string {
  return line
    .split("\u001b[")
    .map((part, index) => {
      const [, colour = "0", text = ""] =
        index === 0 ? ["", "0", part] : (/^([\d;]*)m(.*)$/s.exec(part) ?? []);
      const escaped = Bun.escapeHTML(text);
      return colour === "0" || text === ""
        ? escaped
        : `<tspan class="c${colour}">${escaped}</tspan>`;
    })
    .join("");
}
