import { Fault } from "#core/fault.ts";

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens there; stop it, or choose another port",
  EACCES: "this user may not listen there; choose a port above 1023",
  EADDRNOTAVAIL: "the address is not this machine's; choose another with --bind",
};

interface EngineEndpoint {
  /** The flag that chose the port. */
  readonly flag: string;
  readonly bind: string;
  readonly port: number;
}

/**
 * Starts what listens on an address.
 *
 * @throws {Fault} `address-unusable`: what the system says of the address, and what to do about it.
 */
export async function listening<Server>(
  { flag, bind, port }: EngineEndpoint,
  start: () => Server,
): Promise<Awaited<Server>> {
  try {
    return await start();
  } catch (error) {
    throw unusable({ flag, bind, port }, error);
  }
}

function unusable({ flag, bind, port }: EngineEndpoint, error: unknown): Fault {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  const reason = reasons[code] ?? (error instanceof Error ? error.message : String(error));
  const message = `Cannot listen on ${bind} port ${port} (${flag}): ${reason}`;
  return new Fault("address-unusable", message, { address: bind, port, code }, error);
}
