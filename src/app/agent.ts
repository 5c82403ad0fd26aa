import { NodeTelemetry } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { podResourcesSocket } from "#node/pod-resources.ts";
import { nodeTelemetry } from "#node/telemetry-service.ts";
import { registration } from "#rpc/server.ts";
import { connectionKey } from "#rpc/streams.ts";
import { localNode } from "./local-node.ts";
import type { NodeOptions } from "./options.ts";
import type { RoleContext, RunningRole } from "./role.ts";
import { reportedNodes } from "./status-nodes.ts";

/** Role `agent`: reads this node and serves it to scalers. */
export function startAgent(options: NodeOptions, context: RoleContext): RunningRole {
  const { clock } = context;
  const socket = options.podResourcesSocket ?? podResourcesSocket;
  const node = localNode({ ...options, podResourcesSocket: socket }, context);
  const telemetry = nodeTelemetry({
    source: node.reports,
    clock,
    startedAtMs: clock.wallMs(),
    request: node.request,
    connectionOf: ({ values }) => values.get(connectionKey),
  });
  return {
    service: registration(NodeTelemetry, telemetry),
    metrics: { node: node.stats },
    status: {
      nodes: () => reportedNodes(node.reports),
      unavailable: () => [],
      triggers: () => [],
      usageOf: () => undefined,
      powerWattsOf: () => undefined,
      evaluate: () => [],
    },
    unready: () => node.fault()?.message,
    stop: node.stop,
  };
}
