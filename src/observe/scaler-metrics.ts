/**
 * What a process shows of that which it answers from: agents and engines.
 *
 * @module
 */
import type { Registry } from "prom-client";
import { counter, gauge } from "./read-metric.ts";

export interface FleetStats {
  readonly nodes: () => number;
  readonly devices: () => number;
  /** Devices whose health is not ok, by its state. */
  readonly unwellDevices: () => ReadonlyMap<string, number>;
  /** Devices that have a condition, by its kind. */
  readonly deviceConditions: () => ReadonlyMap<string, number>;
  /** Agents that are listed and cannot be heard. */
  readonly silentAgents: () => number;
  /** Reports that were not believed, since the start. */
  readonly refusedReports: () => number;
  /** Milliseconds since each node's newest sample, by the node's name. */
  readonly sampleAgesMs: () => ReadonlyMap<string, number>;
}

export interface EngineStats {
  readonly targets: () => readonly EngineTargetStats[];
  /** Scrapes since the start, by how they ended. */
  readonly scrapes: () => ReadonlyMap<string, number>;
}

interface EngineTargetStats {
  readonly engine: string;
  /** Whether its last scrape failed. */
  readonly isFailing: boolean;
  /** Of its last good scrape; absent before there was one. */
  readonly ageMs?: number | undefined;
}

export function registerFleet(registry: Registry, fleet: FleetStats): void {
  gauge(
    registry,
    { name: "keda_gpu_scaler_fleet_nodes", help: "Nodes whose agent has been heard" },
    (set) => set(fleet.nodes()),
  );
  gauge(
    registry,
    { name: "keda_gpu_scaler_fleet_devices", help: "Devices of these nodes" },
    (set) => set(fleet.devices()),
  );
  registerUnwell(registry, fleet);
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_fleet_silent_agents",
      help: "Agents that are listed and cannot be heard",
    },
    (set) => set(fleet.silentAgents()),
  );
  counter(
    registry,
    {
      name: "keda_gpu_scaler_fleet_refused_reports_total",
      help: "Reports of agents that were not believed: of another node, or above a limit",
    },
    (add) => add(fleet.refusedReports()),
  );
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_fleet_oldest_sample_age_seconds",
      help: "Age of the oldest newest sample of a node",
    },
    (set) => {
      const agesMs = [...fleet.sampleAgesMs().values()];
      if (agesMs.length > 0) set(Math.max(...agesMs) / 1000);
    },
  );
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_node_sample_age_seconds",
      help: "Age of a node's newest sample",
      labelNames: ["node"],
    },
    (set) => {
      for (const [node, ageMs] of fleet.sampleAgesMs()) set(ageMs / 1000, { node });
    },
  );
}

function registerUnwell(registry: Registry, { unwellDevices, deviceConditions }: FleetStats): void {
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_fleet_unwell_devices",
      help: "Devices whose health is not ok, by state: failing, reset-required or lost",
      labelNames: ["state"],
    },
    (set) => {
      for (const [state, count] of unwellDevices()) set(count, { state });
    },
  );
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_fleet_device_conditions",
      help: "Devices with a condition, by its kind",
      labelNames: ["kind"],
    },
    (set) => {
      for (const [kind, count] of deviceConditions()) set(count, { kind });
    },
  );
}

export function registerEngines(registry: Registry, { targets, scrapes }: EngineStats): void {
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_engine_targets",
      help: "Engines and gateways that are read, by engine and by how their last scrape ended",
      labelNames: ["engine", "state"],
    },
    (set) => {
      const alike = Map.groupBy(targets(), ({ engine, isFailing }) => `${engine} ${isFailing}`);
      for (const [first, ...others] of alike.values())
        if (first !== undefined) {
          const { engine, isFailing } = first;
          set(1 + others.length, { engine, state: isFailing ? "failing" : "ok" });
        }
    },
  );
  gauge(
    registry,
    {
      name: "keda_gpu_scaler_engine_oldest_scrape_age_seconds",
      help: "Age of the oldest newest good scrape of an engine",
    },
    (set) => {
      const oldestMs = Math.max(...targets().map(({ ageMs = 0 }) => ageMs));
      if (oldestMs > 0) set(oldestMs / 1000);
    },
  );
  counter(
    registry,
    {
      name: "keda_gpu_scaler_engine_scrapes_total",
      help: "Scrapes of engines, by how they ended: ok, or the fault's code",
      labelNames: ["outcome"],
    },
    (add) => {
      for (const [outcome, count] of scrapes()) add(count, { outcome });
    },
  );
}

/** How a write of a deletion cost ended; `left`: somebody else has set one, or the pod is gone. */
const costOutcomes = ["ok", "left", "failed"] as const;
export type CostOutcome = (typeof costOutcomes)[number];

export function registerDeletionCosts(
  registry: Registry,
  written: (outcome: CostOutcome) => number,
): void {
  counter(
    registry,
    {
      name: "keda_gpu_scaler_deletion_cost_writes_total",
      help: "Writes of pods' deletion costs, by how they ended: ok, left to others, or failed",
      labelNames: ["outcome"],
    },
    (add) => {
      for (const outcome of costOutcomes) add(written(outcome), { outcome });
    },
  );
}

/** What an object's pods used of devices since the process started. */
export interface ObjectDeviceUse {
  readonly namespace: string;
  readonly name: string;
  /** Absent where no device tells its energy or its power. */
  readonly joules?: number | undefined;
  readonly deviceSeconds: number;
}

export function registerDeviceUse(
  registry: Registry,
  usage: () => readonly ObjectDeviceUse[],
): void {
  const labelNames = ["namespace", "name"];
  counter(
    registry,
    {
      name: "keda_gpu_scaler_workload_energy_joules_total",
      help: "Energy of the devices that a workload's pods hold, of shared ones in equal parts",
      labelNames,
    },
    (add) => {
      for (const { namespace, name, joules } of usage())
        if (joules !== undefined) add(joules, { namespace, name });
    },
  );
  counter(
    registry,
    {
      name: "keda_gpu_scaler_workload_device_seconds_total",
      help: "Time for which a workload's pods held devices, of shared ones in equal parts",
      labelNames,
    },
    (add) => {
      for (const { namespace, name, deviceSeconds } of usage())
        add(deviceSeconds, { namespace, name });
    },
  );
}
