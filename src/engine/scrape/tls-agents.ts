/**
 * The TLS connections to engines, apart by whose certificates are believed: one that was verified by
 * one authority is never used for a target that names another, and all of an authority's are closed
 * when its file changes.
 *
 * @module
 */
import { Agent } from "node:https";
import { getCACertificates } from "node:tls";
import { Fault, messageOf } from "#core/fault.ts";
import { certificatesOf } from "#core/tls.ts";

export interface TlsAgents {
  /**
   * @param caFile PEM authorities, read anew because they rotate; absent: the system's.
   * @throws {Fault} `file-invalid`.
   */
  readonly of: (caFile: string | undefined) => Promise<Agent>;
  readonly stop: () => void;
}

export interface TlsAgentsTools {
  readonly readFile: (path: string) => Promise<string>;
}

export function tlsAgents({ readFile }: TlsAgentsTools): TlsAgents {
  /** By path: there are as many as the operator mounted files. */
  const mounted = new Map<string, { readonly pem: string; readonly agent: Agent }>();
  let system: Agent | undefined;

  const ofFile = async (path: string): Promise<Agent> => {
    const pem = await readFile(path).catch((error: unknown) => {
      throw unusable(path, `must be a readable file: ${messageOf(error)}`, error);
    });
    const earlier = mounted.get(path);
    if (earlier?.pem === pem) return earlier.agent;
    const agent = agentOf(authorities(path, pem));
    mounted.set(path, { pem, agent });
    earlier?.agent.destroy();
    return agent;
  };
  return {
    of: async (caFile) => {
      if (caFile !== undefined) return ofFile(caFile);
      system ??= agentOf(systemAuthorities());
      return system;
    },
    stop: () => {
      system?.destroy();
      for (const { agent } of mounted.values()) agent.destroy();
    },
  };
}

/** Verifies whatever the environment says: NODE_TLS_REJECT_UNAUTHORIZED=0 would let anybody answer. */
function agentOf(ca: string[] | undefined): Agent {
  return new Agent({ keepAlive: true, rejectUnauthorized: true, ca });
}

/** @returns `undefined` where the system has none: then those that the runtime carries count. */
function systemAuthorities(): string[] | undefined {
  const system = getCACertificates("system");
  return system.length > 0 ? system : undefined;
}

function authorities(path: string, pem: string): string[] {
  try {
    return certificatesOf(pem).map((one) => one.toString());
  } catch (error) {
    throw unusable(path, `must have PEM certificates: ${messageOf(error)}`, error);
  }
}

function unusable(path: string, rule: string, cause: unknown): Fault {
  return new Fault(
    "file-invalid",
    `Cannot verify the engine's certificate: ${path} ${rule}; mount its authority there`,
    { path, problems: [rule] },
    cause,
  );
}
