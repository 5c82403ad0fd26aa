/**
 * One HTTP scrape of one location of a target.
 *
 * @module
 */
import type { Agent } from "node:http";
import type { Clock } from "#core/clock.ts";
import { Fault, messageOf } from "#core/fault.ts";
import type { EnginePage } from "#engine/page/page.ts";
import {
  allowedUrl,
  type EndpointRules,
  podEndpoint,
  resolvedEndpoint,
  type ScrapeEndpoint,
} from "./address-policy.ts";
import { type BodySink, get } from "./http.ts";
import type { PageLocation, ScrapeTarget } from "./target.ts";

export interface PageScraperTools {
  readonly clock: Clock;
  readonly rules: EndpointRules;
  readonly agent: Agent;
  readonly readFile: (path: string) => Promise<string>;
}

interface PageScraper {
  /** @throws {Fault} `endpoint-refused`, `file-invalid`, `engine-unreachable` or `page-invalid`. */
  readonly scrape: (
    location: PageLocation,
    deadlineMs: number,
    open: (contentType: string) => BodySink<EnginePage>,
  ) => Promise<EnginePage>;
  /** Resolves the target's name anew at the next scrape. */
  readonly forgetAddress: () => void;
}

export function pageScraper(target: ScrapeTarget, tools: PageScraperTools): PageScraper {
  const { clock, agent, rules } = tools;
  const { at, tokenFile } = target;
  let resolved: ScrapeEndpoint | undefined;

  const endpointOf = async ({ port = 0 }: PageLocation): Promise<ScrapeEndpoint> => {
    if ("podAddress" in at) return podEndpoint(at.podAddress, port, rules);
    resolved ??= await resolvedEndpoint(allowedUrl(at.url, at.namespace, rules), rules.resolve);
    return resolved;
  };

  return {
    scrape: async (location, deadlineMs, open) => {
      const token = tokenFile === undefined ? undefined : await tokenIn(tokenFile, tools);
      return get({
        endpoint: await endpointOf(location),
        path: location.path,
        token,
        timeoutMs: Math.max(1, deadlineMs - clock.monotonicMs()),
        clock,
        agent,
        open,
      });
    },
    forgetAddress: () => {
      resolved = undefined;
    },
  };
}

function tokenIn(path: string, { readFile }: PageScraperTools): Promise<string> {
  return readFile(path).then(
    (text) => text.trim(),
    (error: unknown) => {
      const problem = messageOf(error);
      throw new Fault(
        "file-invalid",
        `Cannot read the bearer token: ${path} is a readable file, got ${problem}; mount the token there`,
        { path, problems: [problem] },
        error,
      );
    },
  );
}
