/** The only place that reads arguments, the environment, the clock and signals. */
import { hostname } from "node:os";
import { run } from "#cli/run.ts";
import { systemClock } from "#core/clock.ts";
import { jobVariables } from "#device/job.ts";

/** Set by the build; `bun run` has neither. */
declare const BUILD_VERSION: string | undefined;
declare const BUILD_REVISION: string | undefined;

const stopSignal = new Promise<string>((resolve) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => resolve(signal));
});

process.exit(
  await run(process.argv.slice(2), {
    clock: systemClock(),
    random: Math.random,
    version: typeof BUILD_VERSION === "string" ? BUILD_VERSION : "development",
    revision: typeof BUILD_REVISION === "string" ? BUILD_REVISION : "unknown",
    environment: {
      hostname: hostname(),
      nodeName: process.env["NODE_NAME"],
      nodeIp: process.env["NODE_IP"],
      kubernetesHost: process.env["KUBERNETES_SERVICE_HOST"],
      kubernetesPort: process.env["KUBERNETES_SERVICE_PORT"],
      jobVariables: Object.fromEntries(jobVariables.map((name) => [name, process.env[name]])),
    },
    stdin: process.stdin,
    stdout: (text) => {
      process.stdout.write(text);
    },
    terminal: process.stdout.isTTY
      ? () => ({ columns: process.stdout.columns, rows: process.stdout.rows })
      : undefined,
    // https://no-color.org: whatever stands in it, unless it is empty.
    hasColor: process.stdout.isTTY === true && !process.env["NO_COLOR"],
    stderr: (text) => {
      process.stderr.write(text);
    },
    stopSignal,
  }),
);
