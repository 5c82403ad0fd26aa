/**
 * One read of an exporter's page.
 *
 * @module
 */
import type { Agent } from "node:http";
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { exporterReadMs } from "#core/limits.ts";
import { pageParser } from "#engine/page/exposition.ts";
import type { NameFilter } from "#engine/page/name-filter.ts";
import { type SeriesLabels, seriesTable } from "#engine/page/series.ts";
import { getOnce } from "#engine/scrape/http.ts";
import type { ExporterPage } from "./address.ts";

/** One series with its value; without one that is a number, it is left out. */
export interface PageSample {
  readonly name: string;
  readonly labels: SeriesLabels;
  readonly value: number;
}

export interface PageReader {
  readonly page: ExporterPage;
  readonly filter: NameFilter;
  readonly clock: Clock;
  readonly agent: Agent;
}

/**
 * The samples of the names that the filter has.
 *
 * @throws {Fault} `exporter-unreadable` when it does not answer in time with a page of metrics.
 */
export async function readPage({ page, filter, clock, agent }: PageReader) {
  const { endpoint, path } = page;
  const url = `${endpoint.url}${path}`;
  const table = seriesTable();
  const unreadable = (problem: string, cause?: unknown) =>
    new Fault(
      "exporter-unreadable",
      `Cannot read the exporter at ${url}: ${problem}; see whether it runs on this node, and ` +
        "correct --exporter-url",
      { url },
      cause,
    );
  const answer = await getOnce(
    {
      endpoint,
      path,
      timeoutMs: exporterReadMs,
      clock,
      agent,
      statusHints: { 401: "it wants credentials, which an agent has none of" },
      open: () => pageParser({ filter, table }),
    },
    path,
  ).catch((error: unknown) => {
    // A parser and a socket say what they were doing; the exporter is named once.
    if (error instanceof Fault) throw unreadable(withoutSubject(error.message), error);
    throw error;
  });
  if ("location" in answer)
    throw unreadable(`it redirects to ${answer.location}, which is not followed`);
  const { values } = answer.result;
  return [...table.all()].flatMap(({ id, spelling: name, labels }): readonly PageSample[] => {
    const value = values[id] ?? Number.NaN;
    return Number.isNaN(value) ? [] : [{ name, labels, value }];
  });
}

/** `Cannot read metrics of http://…: it answers …` without its first half. */
function withoutSubject(message: string): string {
  return message.replace(/^Cannot read metrics(?: of \S+)?: /, "");
}
