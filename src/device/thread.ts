/**
 * The sampling thread: how it is started, and the messages between it and the main thread, which are
 * plain data, for they are cloned.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { Fault } from "#core/fault.ts";
import type { Facts, LogLevel } from "#core/log.ts";
import type { Collection, CollectorOptions, Demand } from "./collector.ts";

/** To the sampling thread. */
export type ThreadCommand =
  | {
      readonly kind: "start";
      readonly options: CollectorOptions;
      readonly sampleIntervalMs: number;
      readonly demand: Demand;
      /** The main thread's monotonic clock, on which every report's times are. */
      readonly nowMs: number;
    }
  | { readonly kind: "demand"; readonly demand: Demand }
  | { readonly kind: "close" };

/** One pass over the devices. Times are the main thread's monotonic clock. */
interface PassTimes {
  /** When the pass began, so that no reading is older than its age says. */
  readonly takenAtMs: number;
  readonly tookMs: number;
  /** Samples left out before this one, because the pass before it took too long. */
  readonly skipped: number;
}
/** A pass that gave readings. */
export interface TimedCollection extends PassTimes {
  readonly collection: Collection;
}

/** From the sampling thread. */
export type ThreadReport =
  /** The thread waits for its `start`, so that the time in it is not old when it is read. */
  | { readonly kind: "ready" }
  | ({ readonly kind: "collection" } & TimedCollection)
  | ({ readonly kind: "fault"; readonly fault: FaultData } & PassTimes)
  | {
      readonly kind: "log";
      readonly level: LogLevel;
      readonly event: string;
      readonly facts: Facts | undefined;
    };

/** A `Fault` without its class, which does not survive the way between threads. */
export type FaultData = Pick<Fault, "code" | "message" | "facts">;

export function faultData({ code, message, facts }: Fault): FaultData {
  return { code, message, facts };
}

export function faultOf({ code, message, facts }: FaultData): Fault {
  return new Fault(...([code, message, facts] as ConstructorParameters<typeof Fault>));
}

/** The sampling thread as the main thread holds it. */
export interface Thread {
  readonly post: (command: ThreadCommand) => void;
  /** Stops keeping the process alive for it. A thread inside a driver call cannot be ended. */
  readonly abandon: () => void;
}
export interface ThreadEvents {
  readonly onReport: (report: ThreadReport) => void;
  /** The thread is no more; `reason` is for people. Comes once, and nothing comes after it. */
  readonly onEnd: (reason: string) => void;
}
export type Spawn = (events: ThreadEvents) => Thread;

/** Starts `worker.ts` on a thread of its own. */
export const spawnThread: Spawn = ({ onReport, onEnd }) => {
  const worker = new Worker(workerPath());
  let failure: string | undefined;
  worker.on("message", onReport);
  worker.on("error", (error: Error) => {
    failure = error.message;
  });
  worker.on("exit", (code) => onEnd(failure ?? `it ended with code ${code}`));
  return { post: (command) => worker.postMessage(command), abandon: () => worker.unref() };
};

/**
 * Under `bun run` and `bun test` the worker is the file beside this one. In the compiled binary all
 * modules of an entry point are one file, so `import.meta.url` no longer tells where this one was:
 * there `src/device/worker.ts`, the second entry point of `bun build --compile src/main.ts
 * src/device/worker.ts`, lies at `device/worker.js` beside the first. Both held on Bun 1.4.5, with
 * and without `--minify --bytecode`. Under `--bytecode` the build wants `--format=esm`: as CommonJS
 * the bundler writes `import.meta.url` out, and the build machine's path ends up in the binary.
 */
function workerPath(): URL {
  return Bun.main.startsWith("/$bunfs/")
    ? new URL("./device/worker.js", Bun.pathToFileURL(Bun.main))
    : new URL("./worker.ts", import.meta.url);
}
