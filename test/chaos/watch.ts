/**
 * Asks every scaler for every tenant all the time, as KEDA does, and judges each answer.
 *
 * @module
 */
import {
  engineIntervalMs,
  engineScrapeMs,
  engineStaleIntervals,
  engineStaleLeastMs,
  staleAfterMs,
} from "#core/limits.ts";
import type { ForeignChannel, ForeignClient, Json } from "../foreign/client.ts";
import type { Asked, ChaosCluster } from "./cluster.ts";
import { type Judged, judgeActive, judgeValue, type Tenant, type TickSpan } from "./tenants.ts";

export interface Watcher extends AsyncDisposable {
  /** Answers that may not be, in words. */
  readonly wrong: readonly string[];
  /** Answers so far, by how they were judged. */
  readonly counts: ReadonlyMap<string, number>;
  /** From now on every answer must be whole, or may be missing. */
  readonly setCalm: (calm: boolean) => void;
  /** What has not been answered in whole since then, with its last answers; empty where all was. */
  readonly notWholeSince: (atMs: number) => readonly string[];
}

const service = "externalscaler.ExternalScaler";
const askEveryMs = 250;
const deadlineMs = 2_000;
/** Of a sample every 500 ms, at the end of a call that may take so long. */
const deviceAgeMostMs = staleAfterMs(500) + 500 + deadlineMs;
const engineAgeMostMs =
  Math.max(engineStaleLeastMs, engineStaleIntervals * engineIntervalMs) +
  engineScrapeMs +
  deadlineMs;
/** Readings that are no older come as they should. */
const deviceFreshMs = 2_500;
const engineFreshMs = 8_000;
/** What KEDA is told while something is missing, and what it sees of a scaler that does not answer. */
const usualCodes: Readonly<Record<string, Judged>> = {
  UNAVAILABLE: "unavailable",
  DEADLINE_EXCEEDED: "late",
};
/** grpc-js waits for up to two minutes before it connects again; this client does not. */
const connection = {
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.min_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 300,
};

/** A tenant, as one scaler is asked for it. */
interface Question extends Asked {
  /** For people. */
  readonly who: string;
  readonly channel: ForeignChannel;
}

export async function watchCluster(cluster: ChaosCluster, keda: ForeignClient): Promise<Watcher> {
  const book = answerBook();
  const streams = new Set<AsyncDisposable>();
  let calm = false;
  let over = false;

  const span = ({ source }: Tenant) =>
    cluster.span(source === "device" ? deviceAgeMostMs : engineAgeMostMs);
  const newestSpan = ({ source }: Tenant) =>
    cluster.span(source === "device" ? deviceFreshMs : engineFreshMs);
  /** Calls once; `judge` is told of an answer that came. */
  const ask = async (
    { who, channel, ref }: Question,
    method: "GetMetrics" | "IsActive",
    judge: (answer: Json) => { readonly judged: Judged; readonly said: string },
  ) => {
    const wasCalm = calm;
    const request = method === "IsActive" ? ref : { scaledObjectRef: ref, metricName: "" };
    const { code, details, answer } = await channel.unary(service, method, request, { deadlineMs });
    const { judged, said } =
      answer === undefined
        ? { judged: usualCodes[code] ?? "wrong", said: `${code} ${details}` }
        : judge(answer);
    // On a machine that is short of processors any answer may be late.
    const inCalm = wasCalm && calm && judged !== "measured" && judged !== "late";
    book.answered(method === "IsActive" ? `${who} active` : `${who} value`, said);
    book.add(inCalm ? "wrong" : judged, `${who} ${method}: ${said}${inCalm ? " in calm" : ""}`);
  };
  const askValue = (question: Question) =>
    ask(question, "GetMetrics", (answer) => {
      const [first] = answer["metricValues"] as readonly Json[];
      const value = Number(first?.["metricValueFloat"]);
      const [now, ...before] = question.versions();
      // What is measured and old may be the last word before an outage.
      if (judgeValue(now, value, newestSpan(now)) === "measured")
        book.whole(`${question.who} value`);
      const judged = [now, ...before].map((each) => judgeValue(each, value, span(each)));
      return { judged: best(judged), said: `${value}, of ${spanText(span(now))}` };
    });
  const judgedActive = (question: Question, answer: Json) => {
    const active = answer["result"] === true;
    const judged = question.versions().map((each) => judgeActive(each, active, span(each)));
    return {
      judged: best(judged),
      said: `${active}, of ${spanText(span(question.versions()[0]))}`,
    };
  };
  const askActive = (question: Question) =>
    ask(question, "IsActive", (answer) => {
      const found = judgedActive(question, answer);
      if (found.judged === "measured") book.whole(`${question.who} active`);
      return found;
    });
  const follow = async (question: Question) => {
    while (!over) {
      const stream = await question.channel.stream(service, "StreamIsActive", question.ref);
      streams.add(stream);
      for (;;) {
        const message = await stream.next().catch(() => undefined);
        if (message === undefined) break;
        const { judged, said } = judgedActive(question, message);
        book.add(judged === "wrong" ? "wrong" : "pushed", `${question.who} pushed: ${said}`);
      }
      streams.delete(stream);
      await Bun.sleep(askEveryMs);
    }
  };

  const questions: Question[] = [];
  for (const { process } of cluster.scalers) {
    const channel = await keda.connect(`${process.address}:${process.grpcPort}`, connection);
    for (const asked of cluster.asked)
      questions.push({ ...asked, who: `${process.name} ${asked.ref.namespace}`, channel });
  }
  const askAgain = async (question: Question) => {
    while (!over)
      await Promise.all([askValue(question), askActive(question), Bun.sleep(askEveryMs)]);
  };
  const loops = questions.flatMap((question) => [askAgain(question), follow(question)]);
  const every = questions.flatMap(({ who }) => [`${who} value`, `${who} active`]);
  return {
    wrong: book.wrong,
    counts: book.counts,
    setCalm: (next) => {
      calm = next;
    },
    notWholeSince: (atMs) =>
      every
        .filter((what) => !(book.wholeAtMs(what) > atMs))
        .map((what) => `${what}: ${book.lastAnswer(what)}`),
    [Symbol.asyncDispose]: async () => {
      over = true;
      for (const stream of streams) await stream[Symbol.asyncDispose]();
      await Promise.all(loops);
    },
  };
}

function answerBook() {
  const startedMs = performance.now();
  const wrong: string[] = [];
  const counts = new Map<string, number>();
  const wholeAtMs = new Map<string, number>();
  const lastAnswers = new Map<string, string>();
  return {
    wrong,
    counts,
    add: (judged: string, what: string) => {
      counts.set(judged, (counts.get(judged) ?? 0) + 1);
      const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
      if (judged === "wrong") wrong.push(`${seconds} s: ${what}`);
    },
    answered: (what: string, said: string) => void lastAnswers.set(what, said),
    lastAnswer: (what: string) => lastAnswers.get(what) ?? "no answer",
    whole: (what: string) => void wholeAtMs.set(what, performance.now()),
    wholeAtMs: (what: string) => wholeAtMs.get(what) ?? 0,
  };
}

/** The kindest of several judgements of one answer. */
function best(judged: readonly Judged[]): Judged {
  const order: readonly Judged[] = ["measured", "held", "partial"];
  return order.find((each) => judged.includes(each)) ?? "wrong";
}

function spanText({ from, to }: TickSpan): string {
  return `ticks ${from} to ${to}`;
}
