/**
 * Reads the status of a running process from its HTTP port.
 *
 * @module
 */
import { Fault, messageOf } from "#core/fault.ts";
import { statusAnswerMs } from "#core/limits.ts";
import type { WorkloadAdvice } from "#observe/advice/advice.ts";
import type { ExplainedTrigger, ScaledName, Status } from "#observe/status.ts";
import { flag, type ValueKind } from "./flags.ts";

export interface StatusClient {
  readonly status: () => Promise<Status>;
  readonly explain: (object: ScaledName) => Promise<readonly ExplainedTrigger[]>;
  /** For one object, or for each that something is recommended for. */
  readonly advice: (object?: ScaledName) => Promise<readonly WorkloadAdvice[]>;
}

const serverAddress: ValueKind<string> = {
  value: "ADDR",
  rule: "must be host:port or an http URL",
  parse: (text) => {
    const url = URL.parse(/^https?:\/\//.test(text) ? text : `http://${text}`);
    return url === null || url.hostname === "" ? undefined : `${url.origin}${url.pathname}`;
  },
};

export const serverFlag = {
  server: flag(serverAddress, {
    fallback: "127.0.0.1:9090",
    help: "HTTP port of a scaler, such as one that kubectl port-forward has opened",
  }),
};

/**
 * @param server As `serverFlag` gives it.
 * @returns Each call throws `engine-unreachable`… as a Fault that says how to reach a scaler.
 */
export function statusClient(server: string): StatusClient {
  const base = server.endsWith("/") ? server : `${server}/`;
  const get = async (path: string): Promise<unknown> => {
    const response = await fetched(server, new URL(path, base));
    if (response.ok) return response.json();
    const remedy =
      response.status === 404
        ? "it is another program, an older version, or was started with --no-page"
        : (await response.text()).trim();
    throw unreachable(server, `it answers ${response.status}; ${remedy}`);
  };
  return {
    status: async () => (await get("api/status")) as Status,
    explain: async (object) => {
      const query = new URLSearchParams({ ...object });
      return (await get(`api/explain?${query}`)) as readonly ExplainedTrigger[];
    },
    advice: async (object) => {
      const query = object === undefined ? "" : `?${new URLSearchParams({ ...object })}`;
      return (await get(`api/advice${query}`)) as readonly WorkloadAdvice[];
    },
  };
}

/** What a command prints with `--output json`. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

async function fetched(server: string, url: URL): Promise<Response> {
  try {
    return await fetch(url, { signal: AbortSignal.timeout(statusAnswerMs), redirect: "error" });
  } catch (error) {
    const remedy =
      "give its HTTP port with --server, for example after " +
      "kubectl -n keda port-forward deployment/keda-gpu-scaler 9090";
    throw unreachable(server, `${messageOf(error)}; ${remedy}`, error);
  }
}

function unreachable(server: string, rule: string, cause?: unknown): Fault {
  return new Fault(
    "server-unreachable",
    `Cannot read the status of ${server}: ${rule}`,
    { server },
    cause,
  );
}
