/**
 * A Service with one address: each new connection goes to one of its endpoints and stays there, as
 * through kube-proxy.
 *
 * @module
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

interface Endpoint {
  readonly bind: string;
  readonly grpcPort: number;
}

export interface ClusterService extends AsyncDisposable {
  readonly address: string;
  /** New connections go to these in turn; those that are open stay where they are. */
  readonly endpoints: Set<Endpoint>;
}

export async function clusterService(): Promise<ClusterService> {
  const endpoints = new Set<Endpoint>();
  const open = new Set<Socket>();
  let turn = 0;
  const server = createServer((client) => {
    const all = [...endpoints];
    const endpoint = all[turn++ % all.length];
    if (endpoint === undefined) {
      client.destroy();
      return;
    }
    const { bind: host, grpcPort: port } = endpoint;
    const backend = connect({ host, port });
    for (const [socket, other] of [
      [client, backend],
      [backend, client],
    ] as const) {
      open.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    endpoints,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
