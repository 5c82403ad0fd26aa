/** Each alert, played by promtool over series that should raise it and series that should not. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasPrometheus, promtool, skipReason } from "../support/prometheus.ts";
import { alertRules, rulesPath } from "./monitoring.ts";

/** Series over four hours, a value a minute, as promtool writes them; the clock starts at 0. */
type Series = Readonly<Record<string, string>>;
const always = (value: number) => `${value}x240`;
/** The time itself, less so many seconds. */
const lateBy = (seconds: number) => `${-seconds}+60x240`;

/** What is there while all is well. */
const calm: Series = {
  'keda_gpu_scaler_fleet_nodes{job="s",instance="a"}': always(3),
  'keda_gpu_scaler_data_fresh{job="s",instance="a"}': always(1),
};
const trigger = 'namespace="ml",name="llm",metric="m"';
const [one, two] = ['instance="a"', 'instance="b"'];

const cases: Readonly<Record<string, { readonly raised: Series; readonly quiet: Series }>> = {
  GpuScalerNotReady: {
    raised: {
      'keda_gpu_scaler_fleet_nodes{job="s",instance="b"}': always(0),
      'keda_gpu_scaler_data_fresh{job="s",instance="b"}': always(0),
    },
    // An agent that has no data is another alert's.
    quiet: { 'keda_gpu_scaler_data_fresh{job="g",instance="c"}': always(0) },
  },
  GpuScalerTriggerRefused: {
    raised: { [`keda_gpu_scaler_trigger_refused{${trigger},code="data-missing"}`]: always(1) },
    quiet: { [`keda_gpu_scaler_trigger_refused{${trigger},code="data-missing"}`]: "_x235 1x5" },
  },
  GpuScalerDataOld: {
    raised: { [`keda_gpu_scaler_trigger_data_age_seconds{${trigger}}`]: always(90) },
    quiet: {
      [`keda_gpu_scaler_trigger_data_age_seconds{${trigger},${one}}`]: always(90),
      [`keda_gpu_scaler_trigger_data_age_seconds{${trigger},${two}}`]: always(2),
    },
  },
  GpuScalerAgentsSilent: {
    raised: { [`keda_gpu_scaler_fleet_silent_agents{${one}}`]: always(2) },
    quiet: {
      [`keda_gpu_scaler_fleet_silent_agents{${one}}`]: always(2),
      [`keda_gpu_scaler_fleet_silent_agents{${two}}`]: always(0),
    },
  },
  GpuScalerNodeSampleOld: {
    raised: { 'keda_gpu_scaler_node_sample_age_seconds{node="n"}': always(61) },
    quiet: { 'keda_gpu_scaler_node_sample_age_seconds{node="n"}': always(5) },
  },
  GpuScalerEngineFailing: {
    raised: { 'keda_gpu_scaler_engine_targets{engine="vllm",state="failing"}': always(1) },
    quiet: { 'keda_gpu_scaler_engine_targets{engine="vllm",state="ok"}': always(9) },
  },
  GpuScalerNotAsked: {
    raised: {
      [`keda_gpu_scaler_trigger_target{${trigger},${one}}`]: always(5),
      [`keda_gpu_scaler_trigger_asked_timestamp_seconds{${trigger},${one}}`]: lateBy(400),
    },
    quiet: {
      [`keda_gpu_scaler_trigger_target{${trigger},${one}}`]: always(5),
      [`keda_gpu_scaler_trigger_target{${trigger},${two}}`]: always(5),
      [`keda_gpu_scaler_trigger_asked_timestamp_seconds{${trigger},${one}}`]: lateBy(900),
      [`keda_gpu_scaler_trigger_asked_timestamp_seconds{${trigger},${two}}`]: lateBy(15),
    },
  },
  GpuScalerEventLoopLag: {
    raised: { [`keda_gpu_scaler_event_loop_lag_seconds_max{${one}}`]: always(0.4) },
    // Now and then a collection of garbage is late.
    quiet: {
      [`keda_gpu_scaler_event_loop_lag_seconds_max{${one}}`]: "0.9 0.01 ".repeat(120).trim(),
    },
  },
  GpuScalerCertificateExpiry: {
    raised: {
      [`keda_gpu_scaler_tls_certificate_expiry_timestamp_seconds{${one}}`]: always(600_000),
    },
    quiet: {
      [`keda_gpu_scaler_tls_certificate_expiry_timestamp_seconds{${one}}`]: always(700_000),
    },
  },
  GpuScalerGpuLost: {
    raised: { [`keda_gpu_scaler_gpu_health{${one},gpu_uuid="GPU-1",state="lost"}`]: always(1) },
    quiet: { [`keda_gpu_scaler_gpu_health{${one},gpu_uuid="GPU-1",state="ok"}`]: always(1) },
  },
  GpuScalerGpuFailing: {
    // It is one alert of a GPU, whatever it has.
    raised: {
      [`keda_gpu_scaler_gpu_health{${one},gpu_uuid="GPU-1",state="failing"}`]: always(1),
      [`keda_gpu_scaler_gpu_condition{${one},gpu_uuid="GPU-1",kind="xid-hardware"}`]: always(1),
      [`keda_gpu_scaler_gpu_condition{${one},gpu_uuid="MIG-1",kind="xid-hardware"}`]: always(1),
    },
    quiet: {
      [`keda_gpu_scaler_gpu_condition{${one},gpu_uuid="GPU-1",kind="thermal-slowdown"}`]: always(1),
    },
  },
};

/** What promtool finds when these series stand beside what is there while all is well. */
async function played(series: Series, firing: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "alerts-"));
  const file = join(folder, "test.json");
  const expected = firing.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 }));
  await Bun.write(
    file,
    JSON.stringify({
      rule_files: [rulesPath],
      evaluation_interval: "1m",
      tests: [
        {
          interval: "1m",
          input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
          promql_expr_test: [
            {
              expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
              eval_time: "239m",
              exp_samples: expected,
            },
          ],
        },
      ],
    }),
  );
  const { exitCode, output } = await promtool(["test", "rules", file]);
  rmSync(folder, { recursive: true });
  return exitCode === 0 ? "" : output;
}

test("every alert has a case", async () => {
  const names = (await alertRules()).map(({ alert }) => alert);
  expect(Object.keys(cases).toSorted()).toEqual(names.toSorted());
});

describe.each(Object.entries(cases))("alert %s", (alert, { raised, quiet }) => {
  test.skipIf(!hasPrometheus)(`is raised, and no other with it${skipReason}`, async () => {
    expect(await played({ ...calm, ...raised }, [alert])).toBe("");
  });
  test.skipIf(!hasPrometheus)(`is not raised without cause${skipReason}`, async () => {
    expect(await played({ ...calm, ...quiet }, [])).toBe("");
  });
});

test.skipIf(!hasPrometheus)(`no scaler at all is one that is not ready${skipReason}`, async () => {
  expect(await played({}, ["GpuScalerNotReady"])).toBe("");
});

test.skipIf(!hasPrometheus)(
  `a trigger that nobody ever asked for is not asked for${skipReason}`,
  async () => {
    const target = { [`keda_gpu_scaler_trigger_target{${trigger}}`]: always(5) };
    expect(await played({ ...calm, ...target }, ["GpuScalerNotAsked"])).toBe("");
  },
);
