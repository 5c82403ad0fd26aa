/**
 * Whose numbers the faults are tried on, and what may be answered for each.
 *
 * Every reading is a base that is its tenant's alone and the time, which each replica of a tenant writes
 * into digits of its own. So an answer shows whose readings it was made of, and how old each is. One tenant has nothing to do for eight
 * seconds of sixteen, so that an old activity shows too.
 *
 * @module
 */

/** What one replica reads. */
export interface Replica {
  readonly node: string;
  /** In the metric's unit; the digits of the time come on top. */
  readonly base: number;
}

export interface Tenant {
  readonly namespace: string;
  readonly name: string;
  readonly source: "device" | "engine";
  readonly replicas: readonly Replica[];
  readonly target: number;
  /** `rests` for half of the time, or always `idle`. */
  readonly habit?: "rests" | "idle";
}

/**
 * `red` and `green` have less to do than would keep their replicas, so that a holding value is told
 * from a measured one; `blue` has more, and would grow on one replica's word. Two have one name.
 */
export const tenants: readonly Tenant[] = [
  {
    namespace: "red",
    name: "app",
    source: "device",
    replicas: ["node-a", "node-b", "node-c"].map((node) => ({ node, base: 20_000 })),
    target: 40_000,
  },
  {
    namespace: "blue",
    name: "app",
    source: "device",
    replicas: ["node-a", "node-b"].map((node) => ({ node, base: 1_500 })),
    target: 700,
  },
  {
    namespace: "pink",
    name: "rests",
    source: "device",
    replicas: [{ node: "node-a", base: 2_500 }],
    target: 3_500,
    habit: "rests",
  },
  {
    namespace: "grey",
    name: "idle",
    source: "device",
    replicas: [{ node: "node-c", base: 0 }],
    target: 11,
    habit: "idle",
  },
  {
    namespace: "green",
    name: "llm",
    source: "engine",
    replicas: ["node-a", "node-b"].map((node) => ({ node, base: 1_000_000 })),
    target: 4_000_000,
  },
];

/** One more, which has one replica or two: whether that is known shows that the API server is heard. */
const white = (nodes: readonly string[]): Tenant => ({
  namespace: "white",
  name: "moves",
  source: "device",
  replicas: nodes.map((node) => ({ node, base: 4_000 })),
  target: 70_000,
});
export const smallWhite = white(["node-a"]);
export const largeWhite = white(["node-a", "node-b"]);

/** Whoever holds a GPU at some time. */
export const holders = [...tenants.filter(({ source }) => source === "device"), largeWhite];

/** A GPU of a node that nobody holds reads this. */
export const unheldWatts = 1_777;

export const tickMs = 250;
const restTicks = 8_000 / tickMs;

/** What is told of a tick by one reading: thousandths of a watt, or requests that wait. */
const digits = {
  device: { cycle: 100, unit: 0.001 },
  engine: { cycle: 1_000, unit: 1 },
} as const;

/** What the replica of a tenant at a place in its list reads at a tick. */
export function readingAt(
  { source, habit, replicas }: Tenant,
  place: number,
  tick: number,
): number {
  if (habit === "idle" || (habit === "rests" && Math.floor(tick / restTicks) % 2 === 1)) return 0;
  const { cycle, unit } = digits[source];
  return (replicas[place]?.base ?? 0) + (tick % cycle) * cycle ** place * unit;
}

/** The ticks that were shown in the time that an answer may be of. */
export interface TickSpan {
  readonly from: number;
  readonly to: number;
}

export type Judged = "measured" | "partial" | "held" | "unavailable" | "late" | "wrong";

/**
 * What a value was made of. Nothing below what keeps the replicas is ever a part of what there is.
 *
 * @param replicas How many the workload should have.
 */
export function judgeValue(tenant: Tenant, value: number, span: TickSpan): Judged {
  const held = tenant.target * tenant.replicas.length;
  const readings = tenant.replicas.map((_replica, place) => possible(tenant, place, span));
  if (isSum(readings, value)) return "measured";
  if (value === held) return "held";
  const parts = readings.map((_reading, left) => readings.filter((_other, at) => at !== left));
  const isPart = parts.some((some) => some.length > 0 && isSum(some, value));
  return isPart && value > held ? "partial" : "wrong";
}

/** Whether a tenant may be called active, or not active: both while that changed in the span. */
export function judgeActive(tenant: Tenant, active: boolean, span: TickSpan): Judged {
  const readings = tenant.replicas.flatMap((_replica, place) => possible(tenant, place, span));
  return readings.some((reading) => reading > 0 === active) ? "measured" : "wrong";
}

function possible(tenant: Tenant, place: number, { from, to }: TickSpan): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_none, at) => readingAt(tenant, place, from + at));
}

const near = 1e-6;

/** Whether a value is a sum of one reading of each replica. */
function isSum(readings: readonly (readonly number[])[], value: number): boolean {
  const last = readings.at(-1);
  if (last === undefined) return Math.abs(value) < near;
  const others = readings.slice(0, -1);
  const least = others.reduce((sum, all) => sum + Math.min(...all), 0);
  const most = others.reduce((sum, all) => sum + Math.max(...all), 0);
  return last.some((reading) => {
    const rest = value - reading;
    return rest > least - near && rest < most + near && isSum(others, rest);
  });
}
