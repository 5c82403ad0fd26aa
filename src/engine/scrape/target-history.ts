/**
 * The scrapes of one target that are kept, under the memory budget of all targets.
 *
 * @module
 */
import type { Fault } from "#core/fault.ts";
import { type SeriesTable, seriesTable } from "#engine/page/series.ts";
import { type NewScrape, type ScrapeHistory, withScrape } from "#engine/signal/history.ts";
import type { SignalResult } from "#engine/signal/result.ts";
import { countedTable, keptBytes } from "./kept-bytes.ts";
import type { MemoryBudget } from "./memory-budget.ts";

export interface TargetHistoryTools {
  readonly memory: MemoryBudget;
}

/** Takes one page. All of it throws `overloaded` where there is no room, or none any more. */
export interface HistoryPage {
  readonly table: SeriesTable;
  /** Counts bytes of the page that are kept until it is read. */
  readonly buffered: (bytes: number) => void;
  /** @param results What else is kept. */
  readonly add: (scrape: NewScrape, keptMs: number, results: readonly SignalResult[]) => void;
}

interface TargetHistory {
  readonly now: () => ScrapeHistory;
  /** @throws {Fault} `overloaded` when the page would hardly fit. */
  readonly openPage: () => HistoryPage;
  /** After a scrape that failed: what is kept stays, unless it is that which did not fit. */
  readonly failed: (failure: Fault, results: readonly SignalResult[]) => void;
  /** Gives back what is kept. */
  readonly stop: () => void;
}

/** @param cleared Runs when nothing is kept any more, which may be at any time. */
export function targetHistory(
  { memory }: TargetHistoryTools,
  namespace: string,
  cleared: (fault: Fault) => void,
): TargetHistory {
  let history = empty();
  let isStopped = false;

  const refuse = (fault: Fault): void => {
    use.end();
    history = empty();
    if (!isStopped) use = memory.open(namespace, refuse);
    cleared(fault);
  };
  let use = memory.open(namespace, refuse);

  return {
    now: () => history,
    openPage: () => {
      const ofPage = use;
      ofPage.begin();
      return {
        table: countedTable(history.table, ofPage),
        buffered: ofPage.add,
        add: (scrape, keptMs, results) => {
          const longer = withScrape(history, scrape, keptMs);
          // Throws also where the target had to give way while the page came: its series went then.
          ofPage.set(keptBytes(longer, results));
          history = longer;
        },
      };
    },
    failed: (failure, results) => {
      if (failure.code === "overloaded") refuse(failure);
      else use.shrink(keptBytes(history, results));
    },
    stop: () => {
      isStopped = true;
      use.end();
    },
  };
}

function empty(): ScrapeHistory {
  return { table: seriesTable(), scrapes: [] };
}
