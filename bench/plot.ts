/**
 * Draws how the scaler's figures grow with the fleet: `bun bench/plot.ts < figures > scaler.svg`,
 * where the figures are what `bench/scaler.ts` printed, one JSON object a line.
 */
export interface Figure {
  readonly nodes: number;
  readonly [name: string]: unknown;
}

const panels = [
  { name: "cores", title: "CPU, cores", aim: 0.25 },
  { name: "rssMebibytes", title: "Memory, MiB", aim: 256 },
  { name: "ageMsP99", title: "Age of the data, p99, ms", aim: 1500 },
  { name: "getMetricsMsP99", title: "GetMetrics, p99, ms", aim: 5 },
] as const;
const width = 320;
const height = 200;
const margin = { left: 52, right: 26, top: 30, bottom: 34 };

const figures = (await Bun.stdin.text())
  .split("\n")
  .filter((line) => line.startsWith("{"))
  .map((line) => JSON.parse(line) as Figure)
  .toSorted((left, right) => left.nodes - right.nodes);

const drawn = panels.map(({ name, title, aim }, at) => {
  const points = figures.flatMap((figure) => {
    const value = figure[name];
    return typeof value === "number" ? [{ nodes: figure.nodes, value }] : [];
  });
  const most = Math.max(aim, ...points.map(({ value }) => value)) * 1.1;
  return `<g transform="translate(${(at % 2) * width},${Math.floor(at / 2) * height})">${panel(points, title, aim, most)}</g>`;
});
process.stdout.write(
  `<svg xmlns="http://www.w3.org/2000/svg" width="${2 * width}" height="${2 * height}" ` +
    'font-family="sans-serif" font-size="11">\n' +
    "<title>The scaler's CPU, memory, age of data and latency by the number of nodes</title>\n" +
    `<rect width="100%" height="100%" fill="white"/>\n${drawn.join("\n")}\n</svg>\n`,
);

function panel(
  points: readonly { readonly nodes: number; readonly value: number }[],
  title: string,
  aim: number,
  most: number,
): string {
  const logs = points.map(({ nodes }) => Math.log10(nodes));
  const [least, greatest] = [Math.min(...logs), Math.max(...logs)];
  const spread = greatest - least || 1;
  const x = (nodes: number) =>
    margin.left + ((Math.log10(nodes) - least) / spread) * (width - margin.left - margin.right);
  const y = (value: number) =>
    height - margin.bottom - (value / most) * (height - margin.top - margin.bottom);
  const right = width - margin.right;
  const line = points.map(({ nodes, value }) => `${x(nodes)},${y(value)}`).join(" ");
  return [
    `<text x="${margin.left}" y="18" font-weight="bold">${title}</text>`,
    `<line x1="${margin.left}" x2="${right}" y1="${y(0)}" y2="${y(0)}" stroke="black"/>`,
    `<line x1="${margin.left}" x2="${right}" y1="${y(aim)}" y2="${y(aim)}" stroke="gray" stroke-dasharray="4"/>`,
    `<text x="${margin.left - 6}" y="${y(aim) + 4}" text-anchor="end" fill="gray">${aim}</text>`,
    `<text x="${margin.left + 4}" y="${y(aim) - 4}" fill="gray">aim at 1,000 nodes</text>`,
    `<polyline points="${line}" fill="none" stroke="steelblue" stroke-width="2"/>`,
    ...points.flatMap(({ nodes, value }) => [
      `<circle cx="${x(nodes)}" cy="${y(value)}" r="3" fill="steelblue"/>`,
      `<text x="${x(nodes)}" y="${y(value) - 7}" text-anchor="middle">${value}</text>`,
      `<text x="${x(nodes)}" y="${height - 18}" text-anchor="middle">${nodes}</text>`,
    ]),
    `<text x="${(margin.left + right) / 2}" y="${height - 4}" text-anchor="middle">nodes of 8 GPUs</text>`,
  ].join("\n");
}
