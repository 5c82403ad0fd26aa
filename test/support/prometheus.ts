/**
 * A real Prometheus, where the machine has one.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { eventually } from "./eventually.ts";

const programs = ["prometheus", "promtool"] as const;
const absent = programs.filter((name) => Bun.which(name) === null);

/** Whether the machine has both; its package is `prometheus` on Debian and Ubuntu. */
export const hasPrometheus = absent.length === 0;

/** Behind the name of a test that needs them: why it is skipped. */
export const skipReason = hasPrometheus ? "" : ` [skipped: no ${absent.join(" and no ")} in PATH]`;

export interface ScrapeTarget {
  /** `host:port`. */
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Prometheus extends AsyncDisposable {
  /** What an expression gives now. @throws with what Prometheus says of it. */
  readonly query: (expression: string) => Promise<readonly Sample[]>;
  /** How each alerting rule was evaluated last: `ok`, or the error; `unknown` before that. */
  readonly alerts: () => Promise<readonly string[]>;
}

const Answer = v.variant("status", [
  v.object({ status: v.literal("success"), data: v.unknown() }),
  v.object({ status: v.literal("error"), error: v.string() }),
]);
const Vector = v.object({
  resultType: v.literal("vector"),
  result: v.array(
    v.object({
      metric: v.record(v.string(), v.string()),
      value: v.tuple([v.number(), v.string()]),
    }),
  ),
});
const Rules = v.object({
  groups: v.array(
    v.object({
      rules: v.array(
        v.object({ name: v.string(), health: v.string(), lastError: v.optional(v.string()) }),
      ),
    }),
  ),
});

export interface PrometheusOptions {
  readonly targets: readonly ScrapeTarget[];
  /** Paths of rule files. */
  readonly rules: readonly string[];
}

/** Scrapes every half second, with labels as a ServiceMonitor with `honorLabels` gives them. */
export async function startPrometheus({ targets, rules }: PrometheusOptions): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), "prometheus-"));
  const config = join(folder, "prometheus.json");
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: "500ms", scrape_timeout: "500ms", evaluation_interval: "500ms" },
      rule_files: rules,
      scrape_configs: [
        {
          job_name: "keda-gpu-scaler",
          honor_labels: true,
          static_configs: targets.map(({ address, labels }) => ({ targets: [address], labels })),
        },
      ],
    }),
  );
  const flags = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    "--web.listen-address=127.0.0.1:0",
  ];
  const child = Bun.spawn(["prometheus", ...flags], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const address = await listening(child.stderr);
  // It listens before it has read what it stored, and answers nothing else until then.
  await eventually(async () => (await fetch(`http://${address}/-/ready`)).status, 200);
  const ask = async (path: string) => {
    const answer = v.parse(Answer, await (await fetch(`http://${address}/api/v1/${path}`)).json());
    if (answer.status === "error") throw new Error(`${path}: ${answer.error}`);
    return answer.data;
  };
  return {
    query: async (expression) => {
      const data = await ask(`query?${new URLSearchParams({ query: expression })}`);
      const { result } = v.parse(Vector, data);
      return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
    },
    alerts: async () => {
      const { groups } = v.parse(Rules, await ask("rules?type=alert"));
      return groups.flatMap((group) =>
        group.rules.map(({ name, health, lastError = "" }) => `${name} ${health}${lastError}`),
      );
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(folder, { recursive: true });
    },
  };
}

/** Reads its log to the end, for a full pipe would stop it. */
function listening(log: ReadableStream<Uint8Array>): Promise<string> {
  return new Promise((resolve, reject) => {
    const read = async () => {
      const decoder = new TextDecoder();
      let text = "";
      for await (const chunk of log) {
        text += decoder.decode(chunk, { stream: true });
        const [, address] = /msg="Listening on".*? address=(\S+)/.exec(text) ?? [];
        if (address !== undefined) resolve(address);
      }
      reject(new Error(`Prometheus ended: ${text}`));
    };
    read().catch(reject);
  });
}

/** Runs promtool. */
export async function promtool(
  args: readonly string[],
  input = "",
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const child = Bun.spawn(["promtool", ...args], {
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, error, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, output: out + error };
}
