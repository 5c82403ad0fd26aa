/**
 * All vendors that are on the machine, side by side.
 *
 * A vendor that was found stays: a driver that fails later does not make its devices disappear. They
 * are listed as failing while another vendor answers, and where none does, nothing is collected.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { vendorSearchMs } from "#core/limits.ts";
import type {
  Collection,
  Collector,
  CollectorOptions,
  CollectorTools,
  Demand,
  Vendor,
} from "./collector.ts";
import { unread } from "./unread.ts";

/** A vendor that was found, and what it said last. */
interface Found {
  readonly vendor: Vendor;
  readonly collector: Collector;
  latest?: Collection;
}

/** @param vendors In the order in which their devices are listed. */
export function autoCollector(
  vendors: readonly Vendor[],
  options: CollectorOptions,
  tools: CollectorTools,
): Collector {
  const { clock, log } = tools;
  let found: readonly Found[] = [];
  let searchDueMs = Number.NEGATIVE_INFINITY;
  const sessionOf = sessionCounter();

  const search = (nowMs: number) => {
    if (found.length > 0 && nowMs < searchDueMs) return;
    searchDueMs = nowMs + vendorSearchMs;
    found = vendors.flatMap((vendor): Found[] => {
      const known = found.find((one) => one.vendor === vendor);
      if (known !== undefined) return [known];
      if (!vendor.isPresent(options)) return [];
      log("info", "collector chosen", { collector: vendor.name });
      return [{ vendor, collector: vendor.collector(options, tools) }];
    });
  };

  const join = (outcomes: readonly (Collection | Fault)[]): Collection => {
    const [first] = outcomes.filter((outcome) => outcome instanceof Fault);
    const isFatal = outcomes.some(isFatalFault);
    if (first !== undefined && (isFatal || outcomes.every((outcome) => outcome instanceof Fault)))
      throw outcomes.find(isFatalFault) ?? first;
    const parts = found.map((one, at) => {
      const outcome = outcomes[at];
      if (outcome instanceof Fault || outcome === undefined) return silent(one, outcome);
      one.latest = outcome;
      return outcome;
    });
    return {
      session: sessionOf(found.map(({ vendor, latest }) => `${vendor.name} ${latest?.session}`)),
      driverVersion: versionsOf(found, "driverVersion"),
      libraryVersion: versionsOf(found, "libraryVersion"),
      devices: devicesOf(parts),
    };
  };

  return {
    name: "auto",
    collect: (demand) => {
      search(clock.monotonicMs());
      if (found.length === 0) throw nothingFound(vendors, options);
      const outcomes = found.map(({ collector }) => outcomeOf(collector, demand));
      return outcomes.some((outcome) => outcome instanceof Promise)
        ? Promise.all(outcomes).then(join)
        : join(outcomes as readonly (Collection | Fault)[]);
    },
    close: () => {
      for (const { collector } of found) collector.close();
    },
  };
}

/** One vendor's fault is no reason to have nothing of the others; any other error is a bug. */
function outcomeOf(
  { collect }: Collector,
  demand: Demand,
): Collection | Fault | Promise<Collection | Fault> {
  try {
    const outcome = collect(demand);
    return outcome instanceof Promise ? outcome.catch(onlyFault) : outcome;
  } catch (error) {
    return onlyFault(error);
  }
}

function onlyFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  throw error;
}

/** An exporter may show what a driver is read for too: whoever is listed first has a vendor's devices. */
function devicesOf(parts: readonly Pick<Collection, "devices">[]): Collection["devices"] {
  const owners = new Map<string, number>();
  return parts.flatMap(({ devices }, position) =>
    devices.filter(({ vendor }) => {
      const owner = owners.get(vendor) ?? position;
      owners.set(vendor, owner);
      return owner === position;
    }),
  );
}

/** Only a new process helps. */
function isFatalFault(outcome: Collection | Fault): boolean {
  return outcome instanceof Fault && "fatal" in outcome.facts && outcome.facts.fatal === true;
}

/** What a vendor had, now that it gives nothing. */
function silent({ latest }: Found, fault: Fault | undefined): Pick<Collection, "devices"> {
  const reason = fault?.message ?? "it was not read";
  const devices = latest?.devices ?? [];
  return {
    devices: devices.map((device) =>
      unread(device, device.health.state === "ok" ? { state: "failing", reason } : device.health),
    ),
  };
}

/** A number that is another as soon as one of the vendors' sessions is. */
function sessionCounter(): (sessions: readonly string[]) => number {
  let before = "";
  let session = 0;
  return (sessions) => {
    const now = sessions.join();
    if (now !== before) session += 1;
    before = now;
    return session;
  };
}

/** With the vendors' names where there are several. */
function versionsOf(
  found: readonly Found[],
  name: "driverVersion" | "libraryVersion",
): string | undefined {
  const versions = found.flatMap(({ vendor, latest }) => {
    const version = latest?.[name];
    if (version === undefined) return [];
    return found.length === 1 ? [version] : [`${vendor.name} ${version}`];
  });
  return versions.length === 0 ? undefined : versions.join(", ");
}

function nothingFound(vendors: readonly Vendor[], options: CollectorOptions): Fault {
  const absences = vendors.map(({ absence }) => absence(options));
  const problems = absences.map(({ problem }) => problem).join(", and ");
  const remedies = absences.map(({ remedy }) => remedy).join(", ");
  return new Fault(
    "library-missing",
    `Cannot find a GPU: ${problems}; ${remedies}, or use --collector mock`,
    { paths: absences.flatMap(({ paths }) => paths) },
  );
}
