/** At least one value: an empty set has no maximum, and 0 would be made up. */
export type Values = readonly [number, ...number[]];

/** How many values become one. Percentiles are nearest-rank: always a value that was measured. */
export const reducers = {
  max: (values: Values) => values.reduce((most, value) => Math.max(most, value)),
  min: (values: Values) => values.reduce((least, value) => Math.min(least, value)),
  avg: (values: Values) => sum(values) / values.length,
  sum,
  p50: (values: Values) => nearestRank(values, 50),
  p90: (values: Values) => nearestRank(values, 90),
  p95: (values: Values) => nearestRank(values, 95),
  p99: (values: Values) => nearestRank(values, 99),
} as const;
export type ReducerName = keyof typeof reducers;
export const reducerNames = Object.keys(reducers) as ReducerName[];

function sum(values: Values): number {
  return values.reduce((total, value) => total + value, 0);
}

function nearestRank(values: Values, percent: number): number {
  const ascending = values.toSorted((low, high) => low - high);
  return ascending[Math.ceil((percent * ascending.length) / 100) - 1] ?? values[0];
}
