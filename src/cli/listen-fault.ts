import { Fault } from "#core/fault.ts";

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens there; stop it, or choose another port",
  EACCES: "this user may not listen there; choose a port above 1023",
  EADDRNOTAVAIL: "the address is not this machine's; choose another with --bind",
};

/** What the system says of an address, with what to do about it. */
export function listenFault(flag: string, bind: string, port: number, error: unknown): Fault {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  const reason = reasons[code] ?? (error instanceof Error ? error.message : String(error));
  return new Fault(
    "address-unusable",
    `Cannot listen on ${bind} port ${port} (${flag}): ${reason}`,
    { address: bind, port, code },
    error,
  );
}
