/**
 * All targets that somebody reads: one background scrape a target and interval, shared by all
 * readers. A read starts what it needs and returns what is in memory.
 *
 * @module
 */
import { Agent } from "node:http";
import type { Cancel } from "#core/clock.ts";
import { counts } from "#core/counts.ts";
import { Fault, type FaultCode } from "#core/fault.ts";
import {
  engineHoldMs,
  engineIntervalMs,
  engineMemoryBytesMax,
  engineMemoryBytesShare,
  engineScrapeMs,
  engineScrapesMax,
  engineScrapesShare,
  engineTargetsMax,
  engineTargetsShare,
  gatewayIntervalMs,
} from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import { slots } from "#core/slots.ts";
import { sharedFilters } from "#engine/page/name-filter.ts";
import type { SignalQuery } from "#engine/signal/query.ts";
import { type EngineName, engineFacts } from "#metric/engines.ts";
import { sharedPatterns } from "#metric/label-pattern.ts";
import { memoryBudget } from "./memory-budget.ts";
import { type EngineReading, readingOf } from "./reading.ts";
import { namedAdapter, type ScrapeTarget, targetKey, targetStaleMs, targetText } from "./target.ts";
import { type TargetScraperTools, type TargetState, targetScraper } from "./target-scraper.ts";
import { tlsAgents } from "./tls-agents.ts";

interface TargetStatus extends TargetState {
  readonly target: string;
}

type ScrapeEnd = "ok" | FaultCode;

export interface EngineScraper {
  /**
   * Returns at once. The first call for a target starts to scrape it; a target that nobody reads
   * for `engineHoldMs` is dropped.
   *
   * @throws {Fault} `overloaded` beyond the number of targets; `signal-unavailable` for an engine
   *   that does not exist.
   */
  readonly read: (target: ScrapeTarget, query: SignalQuery) => EngineReading;
  /**
   * What a target that is scraped anyway says of each query. It asks for nothing: a target that nobody
   * else reads is not followed for it, nor kept, and gives no readings.
   */
  readonly peek: (
    target: ScrapeTarget,
    queries: readonly SignalQuery[],
  ) => readonly EngineReading[];
  /**
   * Runs `listener` after each scrape of the target, and keeps it from being dropped. A gateway is
   * scraped every second while somebody listens.
   */
  readonly listen: (target: ScrapeTarget, listener: () => void) => Cancel;
  readonly targets: () => readonly TargetStatus[];
  /** Scrapes since the start, by how they ended: `ok`, or a fault's code. */
  readonly scrapes: () => ReadonlyMap<ScrapeEnd, number>;
  readonly stop: () => void;
}

interface EngineScraperOptions
  extends Omit<
    TargetScraperTools,
    "agent" | "tlsAgents" | "timeoutMs" | "filterOf" | "patternOf" | "memory"
  > {
  readonly log: Log;
  /** From 0 to 1: spreads the scrapes of targets that come together. */
  readonly random: () => number;
  readonly intervalMs?: number;
  readonly gatewayMs?: number;
  readonly timeoutMs?: number;
  /** Runs after each scrape of any target. */
  readonly scraped?: () => void;
}

export function engineScraper(options: EngineScraperOptions): EngineScraper {
  const { log, timeoutMs = engineScrapeMs, scraped = () => undefined } = options;
  const { intervalMs = engineIntervalMs, gatewayMs = gatewayIntervalMs } = options;
  const agent = new Agent({ keepAlive: true });
  const overTls = tlsAgents(options);
  const loops = new Map<string, ScrapeLoop>();
  /** Targets of each namespace. */
  const followed = counts<string>();
  const ends = new Map<ScrapeEnd, number>();
  const slot = slots(engineScrapesMax, engineScrapesShare);
  const memory = memoryBudget({
    clock: options.clock,
    bytesMax: engineMemoryBytesMax,
    shareBytesMax: engineMemoryBytesShare,
  });
  const readers = { filterOf: sharedFilters(), patternOf: sharedPatterns() };
  const shared = { agent, tlsAgents: overTls, memory, ...readers };
  const tools = { ...options, ...shared, timeoutMs, intervalMs, gatewayMs };
  let isStopped = false;

  const loopOf = (target: ScrapeTarget): ScrapeLoop => {
    const key = targetKey(target);
    const earlier = loops.get(key);
    if (earlier !== undefined) return earlier;
    const { namespace } = target.at;
    if (loops.size >= engineTargetsMax || isStopped) throw tooMany();
    if (followed.of(namespace) >= engineTargetsShare) throw shareUsed(namespace);
    const forget = () => {
      if (loops.delete(key)) followed.change(namespace, -1);
    };
    const loop = scrapeLoop(target, {
      ...tools,
      slot,
      ended: (end) => ends.set(end, (ends.get(end) ?? 0) + 1),
      scraped,
      dropped: forget,
      broke: (error) => {
        const problem = String(error);
        log("error", "engine scrape broke", { target: targetText(target), problem });
        forget();
      },
    });
    loops.set(key, loop);
    followed.change(namespace, 1);
    return loop;
  };

  return {
    read: (target, query) => loopOf(target).read(query),
    peek: (target, queries) => {
      const loop = loops.get(targetKey(target));
      return loop === undefined ? [] : queries.map(loop.peek);
    },
    listen: (target, listener) => loopOf(target).listen(listener),
    targets: () => [...loops.values()].map((loop) => loop.status()),
    scrapes: () => ends,
    stop: () => {
      isStopped = true;
      for (const loop of loops.values()) loop.stop();
      loops.clear();
      agent.destroy();
      overTls.stop();
    },
  };
}

interface ScrapeLoop {
  readonly read: (query: SignalQuery) => EngineReading;
  readonly peek: (query: SignalQuery) => EngineReading;
  readonly listen: (listener: () => void) => Cancel;
  readonly status: () => TargetStatus;
  readonly stop: () => void;
}

interface ScrapeLoopTools
  extends TargetScraperTools,
    Required<
      Pick<EngineScraperOptions, "log" | "random" | "intervalMs" | "gatewayMs" | "scraped">
    > {
  readonly slot: ReturnType<typeof slots>;
  readonly ended: (end: ScrapeEnd) => void;
  /** Nobody reads the target any more. */
  readonly dropped: () => void;
  /** The loop has ended by a bug; the next read starts another one. */
  readonly broke: (error: unknown) => void;
}

/** Scrapes one target at its interval until nobody reads it. */
function scrapeLoop(target: ScrapeTarget, tools: ScrapeLoopTools): ScrapeLoop {
  const { clock, log, random, slot, intervalMs, gatewayMs } = tools;
  const text = targetText(target);
  const named = namedAdapter(target)?.engine;
  const scraper = targetScraper(target, tools);
  const subscribers = listeners();
  let lastReadMs = clock.monotonicMs();
  let isStopped = false;
  /** Cancels the next scrape; `undefined` while one is under way. */
  let cancel: Cancel | undefined;

  const isGateway = () => isFrontEnd(scraper.state().adapter?.engine ?? named);
  const paceMs = () => (!subscribers.isEmpty() && isGateway() ? gatewayMs : intervalMs);

  const letGo = () => {
    scraper.stop();
    tools.dropped();
  };
  const turn = async (): Promise<void> => {
    const startedAtMs = clock.monotonicMs();
    if (subscribers.isEmpty() && startedAtMs - lastReadMs > engineHoldMs) return letGo();
    cancel = undefined;
    const before = scraper.state();
    await slot(() => scraper.scrape(paceMs()), target.at.namespace);
    if (isStopped) return;
    const state = scraper.state();
    tools.ended(state.failure?.code ?? "ok");
    logChange(log, text, before, state);
    const leftMs = Math.max(0, paceMs() - (clock.monotonicMs() - startedAtMs));
    // Targets come in crowds, at a start or a roll-out: from the second scrape on they are spread.
    schedule(state.tries === 1 ? random() * paceMs() : leftMs);
    subscribers.notify();
    tools.scraped();
  };

  const breakOff = (error: unknown): void => {
    scraper.stop();
    tools.broke(error);
  };
  const schedule = (delayMs: number): void => {
    cancel = clock.after(delayMs, () => void turn().catch(breakOff));
  };

  schedule(random() * Math.min(intervalMs, gatewayMs));
  return {
    read: (query) => {
      lastReadMs = clock.monotonicMs();
      const at = { target: text, result: scraper.result(query), state: scraper.state() };
      return readingOf(at, query, lastReadMs, targetStaleMs(paceMs()));
    },
    peek: (query) => {
      const at = { target: text, result: scraper.peek(query), state: scraper.state() };
      return readingOf(at, query, clock.monotonicMs(), targetStaleMs(paceMs()));
    },
    listen: (listener) => {
      const unsubscribe = subscribers.subscribe(listener);
      // Its next scrape may be a whole interval away.
      if (cancel !== undefined && paceMs() < intervalMs) {
        cancel();
        schedule(random() * gatewayMs);
      }
      return () => {
        unsubscribe();
        lastReadMs = clock.monotonicMs();
      };
    },
    status: () => ({ ...scraper.state(), target: text }),
    stop: () => {
      isStopped = true;
      cancel?.();
      scraper.stop();
    },
  };
}

function tooMany(): Fault {
  return new Fault(
    "overloaded",
    `Cannot follow one more engine: at most ${engineTargetsMax} are followed; scale on fewer pods or run more replicas`,
    { limit: engineTargetsMax },
  );
}

function shareUsed(namespace: string): Fault {
  return new Fault(
    "overloaded",
    `Cannot follow one more engine of namespace ${namespace}: ${engineTargetsShare} of it are followed, which is its share; scale on fewer pods there`,
    { limit: engineTargetsShare },
  );
}

function isFrontEnd(engine: EngineName | undefined): boolean {
  return engine !== undefined && engineFacts(engine).isFrontEnd;
}

/** Logs a failure when it is new or another one, and its end. */
function logChange(log: Log, target: string, before: TargetState, after: TargetState): void {
  const { failure, adapter } = after;
  if (failure !== undefined && failure.message !== before.failure?.message)
    log("warn", "engine scrape failed", { target, code: failure.code, problem: failure.message });
  if (failure === undefined && before.failure !== undefined)
    log("info", "engine scraped again", { target, engine: adapter?.engine });
}
