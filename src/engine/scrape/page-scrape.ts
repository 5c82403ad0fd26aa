/**
 * One HTTP scrape of one location of a target.
 *
 * @module
 */
import type { Agent } from "node:http";
import { assert } from "#core/assert.ts";
import type { Clock } from "#core/clock.ts";
import type { EnginePage } from "#engine/page/page.ts";
import {
  allowedUrl,
  type EndpointRules,
  podEndpoint,
  resolvedEndpoint,
  type ScrapeEndpoint,
} from "./address-policy.ts";
import { authorizationOf } from "./credentials.ts";
import { type BodySink, get } from "./http.ts";
import type { PageLocation, ScrapeTarget } from "./target.ts";
import type { TlsAgents } from "./tls-agents.ts";

export interface PageScraperTools {
  readonly clock: Clock;
  readonly rules: EndpointRules;
  readonly agent: Agent;
  readonly tlsAgents: TlsAgents;
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
  const { clock, agent, tlsAgents, rules, readFile } = tools;
  const { at, tls } = target;
  let resolved: ScrapeEndpoint | undefined;

  const endpointOf = async ({ port = 0 }: PageLocation): Promise<ScrapeEndpoint> => {
    if ("podAddress" in at)
      return podEndpoint({ address: at.podAddress, port, isTls: tls !== undefined }, rules);
    resolved ??= await resolvedEndpoint(allowedUrl(at.url, at.namespace, rules), rules.resolve);
    return resolved;
  };

  return {
    scrape: async (location, deadlineMs, open) => {
      const authorization = await authorizationOf(target, readFile);
      const tlsAgent = tls && (await tlsAgents.of(tls.caFile));
      const endpoint = await endpointOf(location);
      assert(endpoint.isTls === (tls !== undefined), "a target has TLS where its URL says https");
      return get({
        endpoint,
        tls,
        path: location.path,
        authorization,
        timeoutMs: Math.max(1, deadlineMs - clock.monotonicMs()),
        clock,
        agent: tlsAgent ?? agent,
        open,
      });
    },
    forgetAddress: () => {
      resolved = undefined;
    },
  };
}
