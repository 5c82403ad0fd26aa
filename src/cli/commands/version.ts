import { command, exitCodes } from "#cli/command.ts";

export const versionCommand = command("version", {
  summary: "Print the version",
  flags: {},
  examples: ["keda-gpu-scaler version"],
  run: (_parsed, { stdout, version, revision }) => {
    stdout(`keda-gpu-scaler ${version} (${revision}, bun ${process.versions.bun})\n`);
    return exitCodes.done;
  },
});
