/**
 * One scaler under 300 calls a second for as long as one likes, while agents, pods, ScaledObjects and
 * push streams come and go: memory, descriptors and event-loop lag, and how fast memory grows.
 *
 *   bun bench/soak.ts [SECONDS] [--folder dist]       default: 600
 *
 * Prints one JSON object a minute, and writes all samples to FOLDER/soak.csv and a plot to
 * FOLDER/soak.svg each minute, so that a run that is cut off tells what it saw. `rssMebibytesPerHour` is
 * the slope by least squares over the second half so far.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type SoakSample, soak } from "../test/chaos/soak.ts";
import { timePlot } from "./time-plot.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { folder: { type: "string", default: "dist" } },
});
const seconds = Number(positionals[0] ?? 600);
const columns = ["atSeconds", "rssMebibytes", "descriptors", "lagMs"] as const;
mkdirSync(values.folder, { recursive: true });

const write = (samples: readonly SoakSample[]) => {
  const rows = samples.map((sample) => columns.map((column) => sample[column]).join(","));
  writeFileSync(join(values.folder, "soak.csv"), `${[columns.join(","), ...rows].join("\n")}\n`);
  const panel = (title: string, column: (typeof columns)[number]) => ({
    title,
    points: samples.map((sample) => ({ x: sample.atSeconds / 60, y: sample[column] })),
  });
  const panels = [
    panel("Memory, MiB", "rssMebibytes"),
    panel("Descriptors", "descriptors"),
    panel("Event-loop lag, ms", "lagMs"),
  ];
  const title = "The scaler's memory, descriptors and event-loop lag by minutes under load";
  writeFileSync(join(values.folder, "soak.svg"), timePlot({ title, xTitle: "minutes", panels }));
};
const { samples, errors } = await soak({
  seconds,
  everySeconds: 60,
  onFigures: (figures, samplesSoFar) => {
    console.log(JSON.stringify(figures));
    write(samplesSoFar);
  },
});
write(samples);
for (const error of errors) console.error(error);
process.exit(errors.length === 0 ? 0 : 1);
