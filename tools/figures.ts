/**
 * Runs the commands of a document and writes what they print into the block of text after each:
 *
 *     bun tools/figures.ts docs/saving-money.md
 *
 * Blocks of `sh` that call `keda-gpu-scaler` run one after the other in a folder of their own, with
 * the repository's `deploy` in it. A simulation's plots are left out. With `--check` it changes
 * nothing and fails when the document has other figures; read the sentences around them then.
 */
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const blocks = /```sh\n(?<commands>[^`]*?)```\n(?:\n```text\n(?<printed>[^`]*?)```\n)?/g;

if (import.meta.main) {
  const [path] = Bun.argv.slice(2).filter((argument) => argument !== "--check");
  if (path === undefined) throw new Error("Cannot write figures: name a document");
  const document = await Bun.file(path).text();
  const current = withFigures(document);
  if (!Bun.argv.includes("--check")) await Bun.write(path, current);
  else if (current !== document)
    throw new Error(
      `${path} has other figures than its commands give: run bun tools/figures.ts ${path}`,
    );
}

function withFigures(document: string): string {
  const folder = mkdtempSync(join(tmpdir(), "figures-"));
  try {
    symlinkSync(join(root, "deploy"), join(folder, "deploy"));
    const command = join(folder, "keda-gpu-scaler");
    writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${root}/src/main.ts" "$@"\n`);
    chmodSync(command, 0o755);
    return document.replaceAll(blocks, (block, commands: string, printed?: string) => {
      if (!commands.includes("keda-gpu-scaler ")) return block;
      const output = outputOf(commands, folder);
      const text = `\`\`\`text\n${output}\`\`\`\n`;
      return printed === undefined ? block : `\`\`\`sh\n${commands}\`\`\`\n\n${text}`;
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @throws {Error} with what the commands wrote, when one of them fails. */
function outputOf(commands: string, folder: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["bash", "-euo", "pipefail", "-c", commands], {
    cwd: folder,
    env: { ...process.env, PATH: `${folder}:${process.env["PATH"]}` },
  });
  if (exitCode !== 0) throw new Error(`Cannot run ${commands}: ${stderr}`);
  const text = stdout.toString();
  const plotsAt = text.search(/^Replicas, A$/m);
  return `${(plotsAt === -1 ? text : text.slice(0, plotsAt)).trimEnd()}\n`;
}
