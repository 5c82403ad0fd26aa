import { Worker } from "node:worker_threads";
import type { Order, Report } from "./messages.ts";

/** The sampling thread as the main thread holds it. */
export interface Thread {
  readonly post: (order: Order) => void;
  /** Stops keeping the process alive for it. A thread inside a driver call cannot be ended. */
  readonly abandon: () => void;
}
export interface ThreadEvents {
  readonly onReport: (report: Report) => void;
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
  return { post: (order) => worker.postMessage(order), abandon: () => worker.unref() };
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
