/**
 * A kubelet as far as its pod-resources socket goes: a real gRPC server on a unix socket.
 *
 * @module
 */

import { rm } from "node:fs/promises";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  type ListPodResourcesResponseSchema,
  PodResourcesLister,
} from "#gen/podresources/v1/podresources_pb.ts";

type Pods = NonNullable<MessageInitShape<typeof ListPodResourcesResponseSchema>["podResources"]>;

export interface FakeKubelet {
  readonly socketPath: string;
  /** What it answers from now on, in this order. */
  readonly set: (pods: Pods) => void;
  /** From now on it takes questions and answers none, or does again. */
  readonly hang: (hanging: boolean) => void;
  /** How many questions were asked so far. */
  readonly asked: () => number;
  /** Stops, and its socket is gone. */
  readonly vanish: () => Promise<void>;
  /** Listens again, on a new socket at the old path. */
  readonly comeBack: () => Promise<void>;
}

/** Starts one at `socketPath`. */
export async function fakeKubelet(socketPath: string): Promise<FakeKubelet> {
  let pods: Pods = [];
  let asked = 0;
  let hanging = false;
  let server: Http2Server | undefined;
  const sessions = new Set<ServerHttp2Session>();

  const handler = connectNodeAdapter({
    routes: (router) =>
      router.service(PodResourcesLister, {
        list: async (_request, { signal }) => {
          asked += 1;
          if (hanging) await new Promise((resolve) => signal.addEventListener("abort", resolve));
          return { podResources: pods };
        },
      }),
  });
  const comeBack = async () => {
    const fresh = createServer(handler);
    fresh.on("session", (session) => {
      sessions.add(session);
      session.on("close", () => sessions.delete(session));
    });
    await new Promise<void>((resolve) => fresh.listen(socketPath, resolve));
    server = fresh;
  };
  const vanish = async () => {
    for (const session of sessions) session.destroy();
    const old = server;
    server = undefined;
    await new Promise<void>((resolve) => (old ? old.close(() => resolve()) : resolve()));
    await rm(socketPath, { force: true });
  };

  await comeBack();
  return {
    socketPath,
    set: (next) => {
      pods = next;
    },
    hang: (next) => {
      hanging = next;
    },
    asked: () => asked,
    vanish,
    comeBack,
  };
}

/** A pod with one container that was given devices by a device plugin. */
export function podWith(
  pod: string,
  resourceName: string,
  deviceIds: readonly string[],
  { namespace = "default", container = "main" } = {},
): Pods[number] {
  return {
    name: pod,
    namespace,
    containers: [{ name: container, devices: [{ resourceName, deviceIds: [...deviceIds] }] }],
  };
}
