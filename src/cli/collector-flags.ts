import { type CollectorOptions, collectorNames } from "#device/collector.ts";
import { exporterPage } from "#device/exporter/address.ts";
import { exporterNames } from "#device/exporter/tables.ts";
import { contradiction, type Environment } from "./command.ts";
import { choice, directory, exporterOrFile, type FlagValues, file, flag, text } from "./flags.ts";

/** Of every command that reads devices. */
export const collectorFlags = {
  collector: flag(choice(collectorNames), {
    fallback: "auto",
    help: "Where readings come from; auto takes all vendors that are there, never the mock",
  }),
  "nvml-library": flag(file, { help: "libnvidia-ml.so.1, when it is not where drivers put it" }),
  "sysfs-root": flag(directory, {
    help: "Where AMD GPUs are read from, when sysfs is not mounted at /sys",
  }),
  exporter: flag(exporterOrFile, {
    help: `The exporter on this node whose page has the devices: ${exporterNames.join(", ")}, or a YAML file with its table`,
  }),
  "exporter-url": flag(
    text("URL", "must be a URL on this node, such as http://127.0.0.1:9400/metrics"),
    {
      help: "Where the page of --exporter is; else on its usual port, at the first address of $NODE_IP or on 127.0.0.1",
    },
  ),
  mock: flag(file, {
    help: "YAML file that the mock collector plays; without it, its own default",
  }),
} as const;

/** Which collectors each flag is for. */
const flagUses = {
  mock: ["mock"],
  "nvml-library": ["nvml", "auto"],
  "sysfs-root": ["amdgpu", "auto"],
  exporter: ["exporter", "auto"],
  "exporter-url": ["exporter", "auto"],
} as const satisfies { readonly [Name in keyof typeof collectorFlags]?: readonly string[] };

/**
 * @throws {Fault} `usage-invalid` when the flags contradict each other, `endpoint-refused` for an
 * exporter elsewhere.
 */
export function collectorOptions(
  flags: FlagValues<typeof collectorFlags>,
  { nodeIp = "" }: Pick<Environment, "nodeIp">,
): CollectorOptions {
  const { collector, mock, "nvml-library": nvmlLibrary, "sysfs-root": sysfsRoot } = flags;
  const { exporter: table, "exporter-url": url } = flags;
  for (const [name, uses] of Object.entries(flagUses))
    if (flags[name as keyof typeof flagUses] !== undefined && !isOneOf(uses, collector))
      throw contradiction(
        choose,
        `--${name} is for --collector ${uses.join(" or ")}, got --collector ${collector}`,
      );
  if (collector === "exporter" && table === undefined)
    throw contradiction(choose, "--collector exporter needs --exporter, and there is none");
  if (url !== undefined && table === undefined)
    throw contradiction(choose, "--exporter-url needs --exporter, and there is none");
  const nodeAddresses = nodeIp.split(",").filter((address) => address !== "");
  if (url !== undefined) exporterPage(url, nodeAddresses);
  const exporter = table === undefined ? undefined : { table, url, nodeAddresses };
  return { collector, nvmlLibrary, sysfsRoot, exporter, mockFile: mock };
}

const choose = "choose a collector";

function isOneOf(uses: readonly string[], collector: string): boolean {
  return uses.includes(collector);
}
