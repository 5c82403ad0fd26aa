/**
 * Draws what changes with time: one panel above the other, as SVG.
 *
 * @module
 */
export interface TimePanel {
  readonly title: string;
  /** By `x`, ascending. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

const width = 640;
const height = 150;
const margin = { left: 52, right: 16, top: 26, bottom: 30 };
/** A screen shows no more. */
const pointsMost = 600;

export function timePlot(plot: {
  readonly title: string;
  readonly xTitle: string;
  readonly panels: readonly TimePanel[];
}): string {
  const drawn = plot.panels.map(
    (panel, at) =>
      `<g transform="translate(0,${at * height})">${drawPanel(panel, plot.xTitle)}</g>`,
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${plot.panels.length * height}" ` +
    'font-family="sans-serif" font-size="11">\n' +
    `<title>${plot.title}</title>\n` +
    `<rect width="100%" height="100%" fill="white"/>\n${drawn.join("\n")}\n</svg>\n`
  );
}

/** Of each stretch its highest point, so that no peak is lost. */
function thinned(points: TimePanel["points"]): TimePanel["points"] {
  const stretch = Math.ceil(points.length / pointsMost);
  return points.flatMap((_point, at) => {
    if (at % stretch !== 0) return [];
    return [points.slice(at, at + stretch).reduce((high, each) => (each.y > high.y ? each : high))];
  });
}

function drawPanel({ title, points }: TimePanel, xTitle: string): string {
  const mostX = Math.max(1, ...points.map(({ x }) => x));
  const mostY = Math.max(1, ...points.map(({ y }) => y));
  const right = width - margin.right;
  const bottom = height - margin.bottom;
  const x = (value: number) => margin.left + (value / mostX) * (right - margin.left);
  const y = (value: number) => bottom - (value / (mostY * 1.1)) * (bottom - margin.top);
  const line = thinned(points)
    .map((point) => `${x(point.x).toFixed(1)},${y(point.y).toFixed(1)}`)
    .join(" ");
  return [
    `<text x="${margin.left}" y="16" font-weight="bold">${title}</text>`,
    `<line x1="${margin.left}" x2="${right}" y1="${bottom}" y2="${bottom}" stroke="black"/>`,
    `<text x="${margin.left - 6}" y="${bottom + 4}" text-anchor="end">0</text>`,
    `<line x1="${margin.left}" x2="${right}" y1="${y(mostY)}" y2="${y(mostY)}" stroke="gray" stroke-dasharray="4"/>`,
    `<text x="${margin.left - 6}" y="${y(mostY) + 4}" text-anchor="end" fill="gray">${mostY}</text>`,
    `<polyline points="${line}" fill="none" stroke="steelblue" stroke-width="1.5"/>`,
    `<text x="${right}" y="${bottom + 14}" text-anchor="end">${Math.round(mostX)} ${xTitle}</text>`,
  ].join("\n");
}
