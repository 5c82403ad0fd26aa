import { command, exitCodes } from "#cli/command.ts";

export const versionCommand = command("version", {
  summary: "Print the version",
  flags: {},
  example: "keda-gpu-scaler version",
  run: (_flags, { stdout, version, revision }) => {
    stdout(`keda-gpu-scaler ${version} (${revision}, bun ${process.versions.bun})\n`);
    return exitCodes.done;
  },
});
