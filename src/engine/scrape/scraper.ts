/**
 * All targets that somebody asks for: one background scrape a target and interval, shared by all
 * readers. A read starts what it needs and returns what is in memory.
 *
 * @module
 */
import { Agent } from "node:http";
import type { Cancel } from "#core/clock.ts";
import { Fault, type FaultCode } from "#core/fault.ts";
import {
  engineHoldMs,
  engineIntervalMs,
  engineScrapeMs,
  engineScrapesMax,
  engineTargetsMax,
  gatewayIntervalMs,
} from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import { slots } from "#core/slots.ts";
import { sharedFilters } from "#engine/page/name-filter.ts";
import type { SignalQuery } from "#engine/signal/ask.ts";
import { type EngineName, engineFacts } from "#metric/engines.ts";
import { type Follower, type FollowerState, type FollowerTools, follower } from "./follower.ts";
import { type EngineReading, readingOf } from "./reading.ts";
import { namedAdapter, type ScrapeTarget, targetKey, targetStaleMs, targetText } from "./target.ts";

export interface TargetStatus extends FollowerState {
  readonly target: string;
}

export type ScrapeEnd = "ok" | FaultCode;

export interface EngineScraper {
  /**
   * Returns at once. The first call for a target starts to scrape it; a target that nobody reads
   * for `engineHoldMs` is let go.
   *
   * @throws {Fault} `overloaded` beyond the number of targets; `signal-unavailable` for an engine
   *   that does not exist.
   */
  readonly read: (spec: ScrapeTarget, ask: SignalQuery) => EngineReading;
  /**
   * Runs `listener` after each scrape of the target, and keeps it from being forgotten. A gateway is
   * scraped every second while somebody listens.
   */
  readonly listen: (spec: ScrapeTarget, listener: () => void) => Cancel;
  readonly targets: () => readonly TargetStatus[];
  /** Scrapes since the start, by how they ended: `ok`, or a fault's code. */
  readonly scrapes: () => ReadonlyMap<ScrapeEnd, number>;
  readonly stop: () => void;
}

export interface EngineScraperOptions
  extends Omit<FollowerTools, "agent" | "timeoutMs" | "filterOf"> {
  readonly log: Log;
  /** From 0 to 1: spreads the scrapes of targets that come together. */
  readonly random: () => number;
  readonly intervalMs?: number;
  readonly gatewayMs?: number;
  readonly timeoutMs?: number;
  /** Runs after each scrape of any target. */
  readonly scraped?: () => void;
}

interface Held {
  readonly follower: Follower;
  readonly target: string;
  readonly named: EngineName | undefined;
  readonly listeners: Set<() => void>;
  askedAtMs: number;
  /** Stops the timer of the next scrape; `undefined` while one is under way. */
  cancel: Cancel | undefined;
}

export function engineScraper(options: EngineScraperOptions): EngineScraper {
  const {
    clock,
    log,
    random,
    intervalMs = engineIntervalMs,
    gatewayMs = gatewayIntervalMs,
    timeoutMs = engineScrapeMs,
    scraped = () => undefined,
  } = options;
  const agent = new Agent({ keepAlive: true });
  const held = new Map<string, Held>();
  const slot = slots(engineScrapesMax);
  const filterOf = sharedFilters();
  const ends = new Map<ScrapeEnd, number>();
  let isStopped = false;

  const pace = ({ follower, listeners, named }: Held): number => {
    const engine = follower.state().adapter?.engine ?? named;
    const isFrontEnd = engine !== undefined && engineFacts(engine).isFrontEnd;
    return listeners.size > 0 && isFrontEnd ? gatewayMs : intervalMs;
  };

  const turn = async (key: string, one: Held): Promise<void> => {
    const startedAtMs = clock.monotonicMs();
    if (one.listeners.size === 0 && startedAtMs - one.askedAtMs > engineHoldMs) {
      held.delete(key);
      return;
    }
    one.cancel = undefined;
    const before = one.follower.state().failure;
    await slot(() => one.follower.scrape(pace(one)));
    // Stopped or forgotten while it was under way.
    if (isStopped || held.get(key) !== one) return;
    report(one, before);
    const tookMs = clock.monotonicMs() - startedAtMs;
    // Targets come in crowds, at a start or a roll-out: from the second scrape on they are spread.
    const isSecond = one.follower.state().tries === 1;
    schedule(key, one, isSecond ? random() * pace(one) : Math.max(0, pace(one) - tookMs));
    for (const listener of [...one.listeners]) listener();
    scraped();
  };

  const report = ({ follower, target }: Held, before: Fault | undefined): void => {
    const { failure, adapter } = follower.state();
    const end = failure?.code ?? "ok";
    ends.set(end, (ends.get(end) ?? 0) + 1);
    if (failure !== undefined && failure.message !== before?.message)
      log("warn", "engine scrape failed", { target, code: failure.code, problem: failure.message });
    if (failure === undefined && before !== undefined)
      log("info", "engine scraped again", { target, engine: adapter?.engine });
  };

  const schedule = (key: string, one: Held, delayMs: number): void => {
    one.cancel = clock.after(delayMs, () => {
      turn(key, one).catch((error: unknown) => {
        log("error", "engine follower broke", { target: one.target, problem: String(error) });
        held.delete(key);
      });
    });
  };

  const hold = (spec: ScrapeTarget): Held => {
    const key = targetKey(spec);
    const earlier = held.get(key);
    if (earlier !== undefined) return earlier;
    if (held.size >= engineTargetsMax || isStopped)
      throw new Fault(
        "overloaded",
        `Cannot follow one more engine: at most ${engineTargetsMax} are followed; scale on fewer pods or run more replicas`,
        { limit: engineTargetsMax },
      );
    const one: Held = {
      follower: follower(spec, { ...options, agent, timeoutMs, filterOf }),
      target: targetText(spec),
      named: namedAdapter(spec)?.engine,
      listeners: new Set(),
      askedAtMs: clock.monotonicMs(),
      cancel: undefined,
    };
    held.set(key, one);
    schedule(key, one, random() * Math.min(intervalMs, gatewayMs));
    return one;
  };

  return {
    read: (spec, ask) => {
      const one = hold(spec);
      one.askedAtMs = clock.monotonicMs();
      return readingOf(one, ask, clock.monotonicMs(), targetStaleMs(pace(one)));
    },
    listen: (spec, listener) => {
      const one = hold(spec);
      const own = () => listener();
      one.listeners.add(own);
      // Its next scrape may be a whole interval away.
      if (one.cancel !== undefined && pace(one) < intervalMs) {
        one.cancel();
        schedule(targetKey(spec), one, random() * gatewayMs);
      }
      return () => {
        one.listeners.delete(own);
        one.askedAtMs = clock.monotonicMs();
      };
    },
    targets: () =>
      [...held.values()].map(({ follower, target }) => ({ ...follower.state(), target })),
    scrapes: () => ends,
    stop: () => {
      isStopped = true;
      for (const one of held.values()) one.cancel?.();
      held.clear();
      agent.destroy();
    },
  };
}
