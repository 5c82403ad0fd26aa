/**
 * `top`: devices and workloads, live.
 *
 * @module
 */
import { type CommandContext, command, exitCodes } from "#cli/command.ts";
import { duration, flag, wholeNumber } from "#cli/flags.ts";
import { type StatusClient, serverFlag, statusClient } from "#cli/status-client.ts";
import { deviceColumns, triggerColumns } from "#cli/status-text.ts";
import { Fault } from "#core/fault.ts";
import { columnLines } from "#core/text-lines.ts";
import type { Status } from "#observe/status.ts";

const second = 1_000;

export const topCommand = command("top", {
  summary: "Show devices and workloads, live: a full screen, or rows where there is no terminal",
  flags: {
    ...serverFlag,
    interval: flag(duration(second, 60 * second), {
      fallback: "2s",
      help: "Time between two readings",
    }),
    count: flag(wholeNumber(1, 1_000_000), {
      help: "Stop after so many readings; else with Ctrl-C",
    }),
  },
  examples: ["keda-gpu-scaler top", "keda-gpu-scaler top --count 1 --server gpu-node-1:9090"],
  run: async ({ flags: { server, interval, count } }, context) => {
    const client = statusClient(server);
    const { terminal, stdout } = context;
    // The first answer is waited for outside the screen, so that its error stays to be read.
    const first = await client.status();
    if (terminal === undefined) await rows(client, first, { interval, count }, context);
    else {
      stdout(screenOn);
      await screens(client, first, { interval, count }, context).finally(() => stdout(screenOff));
    }
    return exitCodes.done;
  },
});

/** The alternate screen, without a cursor: what stood there comes back. */
const screenOn = "\u001b[?1049h\u001b[?25l";
const screenOff = "\u001b[?25h\u001b[?1049l";
const home = "\u001b[H";
const restOfLine = "\u001b[K";
const restOfScreen = "\u001b[J";

interface Repetition {
  readonly interval: number;
  readonly count: number | undefined;
}

/** A row for each device and workload at each reading, with the time before it: for files and pipes. */
async function rows(
  client: StatusClient,
  first: Status,
  repetition: Repetition,
  context: CommandContext,
): Promise<void> {
  await repeat(client, first, repetition, context, (status) => {
    if (status instanceof Fault) {
      context.stderr(`keda-gpu-scaler: ${status.message}\n`);
      return;
    }
    const time = new Date(status.atMs).toISOString();
    const lines = [...columnLines(deviceColumns(status)), ...columnLines(triggerColumns(status))];
    context.stdout(lines.map((line) => `${time}  ${line}\n`).join(""));
  });
}

async function screens(
  client: StatusClient,
  first: Status,
  repetition: Repetition,
  context: CommandContext,
): Promise<void> {
  let newest = first;
  await repeat(client, first, repetition, context, (status) => {
    if (!(status instanceof Fault)) newest = status;
    const problem = status instanceof Fault ? status.message : undefined;
    const { columns = 80, rows: height = 24 } = context.terminal?.() ?? {};
    const lines = screen(newest, problem).slice(0, height - 1);
    const fitted = lines.map((line) => `${line.slice(0, columns)}${restOfLine}\n`);
    context.stdout(`${home}${fitted.join("")}${restOfScreen}`);
  });
}

function screen(status: Status, problem: string | undefined): readonly string[] {
  const { process, nodes, agents, atMs } = status;
  const devices = nodes.reduce((sum, node) => sum + node.devices.length, 0);
  const head = `keda-gpu-scaler ${process.version}, ${process.role} on ${process.nodeName}`;
  return [
    `${head}   ${new Date(atMs).toISOString().slice(11, 19)}   ${nodes.length} nodes, ${devices} devices`,
    ...(problem === undefined ? [] : [problem]),
    ...(process.unready === undefined ? [] : [`not ready: ${process.unready}`]),
    ...agents.map(({ address, node, reason }) => `not heard: ${node ?? address}: ${reason}`),
    "",
    ...(status.triggers.length === 0 ? ["no triggers"] : columnLines(triggerColumns(status))),
    "",
    ...columnLines(deviceColumns(status)),
  ];
}

/** Shows the first look, and one more after each interval until it is told to stop. */
async function repeat(
  client: StatusClient,
  first: Status,
  { interval, count = Number.POSITIVE_INFINITY }: Repetition,
  { clock, stopSignal }: CommandContext,
  show: (status: Status | Fault) => void,
): Promise<void> {
  show(first);
  const stopped = stopSignal.then(() => true);
  for (let shown = 1; shown < count; shown += 1) {
    const waited = new Promise<false>((resolve) => {
      clock.after(interval, () => resolve(false));
    });
    if (await Promise.race([stopped, waited])) return;
    show(await client.status().catch(faultOnly));
  }
}

function faultOnly(error: unknown): Fault {
  if (error instanceof Fault) return error;
  throw error;
}
