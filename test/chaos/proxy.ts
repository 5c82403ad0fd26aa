/**
 * A TCP proxy that fails as networks do.
 *
 * @module
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/**
 * How the network fails: `stalls` holds every byte and delivers it in the end, `drops` holds it too and
 * cuts the connections in the end, as one that NAT has forgotten, `resets` cuts and refuses, and `slow`
 * takes its time for each piece.
 */
export const networkFaults = ["stalls", "drops", "resets", "slow"] as const;
export type NetworkFault = (typeof networkFaults)[number];

export interface TcpProxy {
  readonly port: number;
  /** Fails from now on; `undefined` ends that. */
  readonly fail: (fault: NetworkFault | undefined) => void;
  readonly close: () => void;
}

interface End {
  readonly address: string;
  readonly port: number;
}

const slowMs = 150;

/** Listens on an address, at a free port, and passes everything to `target`. */
export async function tcpProxy(address: string, target: () => End): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let fault: NetworkFault | undefined;

  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // Its close follows, and ends the other side.
    socket.on("error", () => undefined);
    if (fault === "stalls" || fault === "drops") socket.pause();
  };
  const pass = (from: Socket, to: Socket) => {
    from.on("data", (bytes) => {
      if (fault !== "slow") {
        if (!to.write(bytes)) from.pause();
        return;
      }
      from.pause();
      setTimeout(() => {
        to.write(bytes);
        if (fault !== "stalls" && fault !== "drops") from.resume();
      }, slowMs);
    });
    to.on("drain", () => {
      if (fault !== "stalls" && fault !== "drops") from.resume();
    });
    from.on("end", () => to.end());
    from.on("close", () => to.destroy());
  };

  const server = createServer({ allowHalfOpen: true }, (near) => {
    if (fault === "resets") {
      near.on("error", () => undefined);
      near.resetAndDestroy();
      return;
    }
    const { address: host, port } = target();
    const far = connect({ host, port, allowHalfOpen: true });
    keep(near);
    keep(far);
    pass(near, far);
    pass(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    fail: (next) => {
      const before = fault;
      fault = next;
      if (next === "resets" || before === "drops") cut();
      else if (next === "stalls" || next === "drops") for (const socket of sockets) socket.pause();
      else for (const socket of sockets) socket.resume();
    },
    close: () => {
      server.close();
      cut();
    },
  };
}
