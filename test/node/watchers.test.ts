import { expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { telemetryWatchersMax, telemetryWatchersPerPeerMax } from "#core/limits.ts";
import { WatchRequestSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { nodeTelemetry } from "#node/telemetry-service.ts";
import { manualClock } from "../support/manual-clock.ts";

/** The service of a node that has read nothing yet, and watchers of any peer. */
function watched(watchersMax?: number) {
  const service = nodeTelemetry({
    source: { latest: () => undefined, subscribe: () => () => {} },
    clock: manualClock(),
    startedAtMs: 1,
    connectionOf: ({ values }) => ({
      peer: String(values),
      draining: () => false,
      onDrain: () => () => {},
    }),
    watchersMax,
  });
  return (peer: string) => {
    const leaving = new AbortController();
    const context = { signal: leaving.signal, values: peer } as unknown as HandlerContext;
    const stream = service.watch(create(WatchRequestSchema), context)[Symbol.asyncIterator]();
    /** The next message, or what the stream ended with. */
    const next = () =>
      stream.next().then(
        ({ done }) => (done === true ? "ended" : "message"),
        (error: unknown) => String(error),
      );
    return { next, leave: () => leaving.abort() };
  };
}

async function all(watchers: readonly { readonly next: () => Promise<string> }[]) {
  return Promise.all(watchers.map(({ next }) => next()));
}

test("a peer has its own streams and no more, and gets them back", async () => {
  const watch = watched();
  const own = Array.from({ length: telemetryWatchersPerPeerMax }, () => watch("a"));
  expect(new Set(await all(own))).toEqual(new Set(["message"]));
  expect(await watch("a").next()).toContain("this address has 4 streams already");
  expect(await watch("b").next()).toBe("message");

  const last = own.at(-1)?.next();
  own.at(-1)?.leave();
  expect(await last).toBe("ended");
  expect(await watch("a").next()).toBe("message");
});

test("where all places are taken, a newcomer takes the newest of the peer that has most", async () => {
  const watch = watched(6);
  const greedy = [watch("a"), watch("a"), watch("a"), watch("a")];
  const others = [watch("b"), watch("b")];
  expect(new Set(await all([...greedy, ...others]))).toEqual(new Set(["message"]));
  const ends = [...greedy, ...others].map(({ next }) => next());

  expect(await watch("c").next()).toBe("message");
  expect(await ends[3]).toContain("another address that has fewer needed the place");
  expect(await watch("b").next()).toContain("6 watchers are served already");
  expect(await watch("c").next()).toBe("message");
  expect(await ends[2]).toContain("another address that has fewer needed the place");
  expect(await watch("c").next()).toContain("6 watchers are served already");
  const rest = [0, 1, 4, 5].map((at) => ends[at] as Promise<string>);
  expect(await Promise.race([...rest, Promise.resolve("all go on")])).toBe("all go on");
});

test("one watcher of each peer is not sent away for another", async () => {
  const watch = watched();
  const peers = Array.from({ length: telemetryWatchersMax }, (_, peer) => watch(`${peer}`));
  expect(new Set(await all(peers))).toEqual(new Set(["message"]));
  expect(await watch("late").next()).toContain("64 watchers are served already");
});
