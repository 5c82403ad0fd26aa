/**
 * All targets that somebody asks for: one background scrape a target and interval, shared by all
 * readers. A read starts what it needs and returns what is in memory.
 *
 * @module
 */
import { Agent } from "node:http";
import type { Cancel } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import {
  engineForgetMs,
  engineIntervalMs,
  engineScrapeMs,
  engineScrapesMax,
  engineTargetsMax,
  gatewayIntervalMs,
} from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import { engineFacts } from "#metric/engines.ts";
import type { Ask } from "./ask.ts";
import { type Follower, type FollowerState, type FollowerTools, follower } from "./follower.ts";
import { type EngineReading, readingOf } from "./reading.ts";
import { slots } from "./slots.ts";
import { type TargetSpec, targetKey, targetStaleMs, targetText } from "./target.ts";

export interface TargetStatus extends FollowerState {
  readonly target: string;
}

export interface EngineScraper {
  /**
   * Returns at once. The first call for a target starts to scrape it; a target that nobody reads
   * for ten minutes is forgotten.
   *
   * @throws {Fault} `overloaded` beyond the number of targets; `signal-unavailable` for an engine
   *   that does not exist.
   */
  readonly read: (spec: TargetSpec, ask: Ask) => EngineReading;
  /**
   * Runs `listener` after each scrape of the target, and keeps it from being forgotten. A gateway is
   * scraped every second while somebody listens.
   */
  readonly listen: (spec: TargetSpec, listener: () => void) => Cancel;
  readonly targets: () => readonly TargetStatus[];
  readonly stop: () => void;
}

export interface EngineScraperOptions extends Omit<FollowerTools, "agent" | "timeoutMs"> {
  readonly log: Log;
  /** From 0 to 1: spreads the scrapes of targets that come together. */
  readonly random: () => number;
  readonly intervalMs?: number;
  readonly gatewayMs?: number;
  readonly timeoutMs?: number;
}

interface Held {
  readonly follower: Follower;
  readonly target: string;
  readonly listeners: Set<() => void>;
  askedAtMs: number;
  cancel: Cancel;
}

export function engineScraper(options: EngineScraperOptions): EngineScraper {
  const {
    clock,
    log,
    random,
    intervalMs = engineIntervalMs,
    gatewayMs = gatewayIntervalMs,
    timeoutMs = engineScrapeMs,
  } = options;
  const agent = new Agent({ keepAlive: true });
  const held = new Map<string, Held>();
  const slot = slots(engineScrapesMax);
  let isStopped = false;

  const pace = ({ follower, listeners }: Held): number => {
    const { adapter } = follower.state();
    const isFrontEnd = adapter !== undefined && engineFacts(adapter.engine).isFrontEnd;
    return listeners.size > 0 && isFrontEnd ? gatewayMs : intervalMs;
  };

  const turn = async (key: string, one: Held): Promise<void> => {
    const startedAtMs = clock.monotonicMs();
    if (one.listeners.size === 0 && startedAtMs - one.askedAtMs > engineForgetMs) {
      held.delete(key);
      return;
    }
    const before = one.follower.state().failure;
    await slot(() => one.follower.scrape(pace(one)));
    // Stopped or forgotten while it was under way.
    if (isStopped || held.get(key) !== one) return;
    report(one, before);
    const tookMs = clock.monotonicMs() - startedAtMs;
    schedule(key, one, Math.max(0, pace(one) - tookMs));
    for (const listener of [...one.listeners]) listener();
  };

  const report = ({ follower, target }: Held, before: Fault | undefined): void => {
    const { failure, adapter } = follower.state();
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

  const hold = (spec: TargetSpec): Held => {
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
      follower: follower(spec, { ...options, agent, timeoutMs }),
      target: targetText(spec),
      listeners: new Set(),
      askedAtMs: clock.monotonicMs(),
      cancel: () => {},
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
      return () => {
        one.listeners.delete(own);
        one.askedAtMs = clock.monotonicMs();
      };
    },
    targets: () =>
      [...held.values()].map(({ follower, target }) => ({ ...follower.state(), target })),
    stop: () => {
      isStopped = true;
      for (const one of held.values()) one.cancel();
      held.clear();
      agent.destroy();
    },
  };
}
