import { describe, expect, test } from "bun:test";
import { defaultExporterUrl, exporterPage } from "#device/exporter/address.ts";
import { exporterTable, parseTable } from "#device/exporter/tables.ts";
import { unitFactors } from "#device/exporter/units.ts";
import { readingNames } from "#metric/reading.ts";

const good = `
name: Acme
source: https://acme.example
version: "1"
date: "2026-11-24"
vendor: acme
port: 9999
device: { id: "{chip}", model: Acme One }
readings:
  utilizationPercent: { series: busy, unit: ratio }
`;

test("a table says little: path, kind and the rest have defaults", () => {
  expect(parseTable(good).table).toMatchObject({
    path: "/metrics",
    collectionSeconds: 0,
    blanks: [],
    source: ["https://acme.example"],
    readings: { utilizationPercent: [{ series: ["busy"], kind: "gauge", labels: {} }] },
  });
});

describe("a mistake in a table is told with its line", () => {
  test.each([
    [
      "busy, unit: ratio",
      "busy, unit: watts",
      "line 10, column 45: readings.utilizationPercent.unit: must be one of percent, ratio",
    ],
    [
      "utilizationPercent",
      "utilisationPercent",
      "line 10, column 3: readings.utilisationPercent: unknown key; did you mean utilizationPercent?",
    ],
    ['"{chip}"', '"{chip"', "line 8, column 15: device.id: must be text with labels as {name}"],
    ['"2026-11-24"', '"today"', "line 5, column 7: date: must be a day in quotes"],
    ["port: 9999", "port: 99999", "line 7, column 7: port: must be a whole number from 1 to 65535"],
    [
      "series: busy",
      "series: [busy, 7]",
      "must be text (in quotes if it looks like a number or a date), got 7",
    ],
    ["series: busy", "series: []", "must have at least one series"],
    [
      "  utilizationPercent: { series: busy, unit: ratio }",
      "  {}",
      "readings: must have at least one reading",
    ],
    ["version", "verison", "verison: unknown key; did you mean version?"],
  ])("%s as %s", (before, after, problem) => {
    expect(good).toContain(before);
    expect(parseTable(good.replace(before, after)).problems?.join("\n")).toContain(problem);
  });
});

test("a name that is none gets a suggestion", () => {
  expect(() => exporterTable("guadi")).toThrow(/must be one of gaudi, .*did you mean gaudi/);
  expect(() => exporterTable("/nowhere/table.yaml")).toThrow(/cannot be read: ENOENT/);
});

test("every reading has units", () => {
  for (const name of readingNames) expect(Object.keys(unitFactors[name]).length).toBeGreaterThan(0);
});

describe("an exporter is asked on its own node and nowhere else", () => {
  const node = ["10.0.0.7", "fd00::7"];
  test.each([
    "http://127.0.0.1:9400/metrics",
    "http://127.1.2.3:9400/metrics",
    "http://localhost:9400/metrics",
    "http://[::1]:9400/metrics",
    "http://10.0.0.7:9400/metrics",
    "http://[fd00:0:0::7]:9400/metrics",
  ])("%s", (url) => {
    const { endpoint, path } = exporterPage(url, node);
    expect([endpoint.port, path]).toEqual([9400, "/metrics"]);
  });

  test.each([
    [
      "http://10.0.0.8:9400/metrics",
      "its host is localhost, 127.0.0.0/8, ::1 or the node's own address, 10.0.0.7,fd00::7",
    ],
    ["http://169.254.169.254/latest", "its host is localhost"],
    ["http://0.0.0.0:9400/metrics", "its host is localhost"],
    ["http://[::ffff:10.0.0.8]:9400/", "its host is localhost"],
    ["http://metrics.example:9400/metrics", "its host is localhost"],
    ["http://localhost.example/metrics", "its host is localhost"],
    ["https://127.0.0.1:9400/metrics", "it is a URL such as http://127.0.0.1:9400/metrics"],
    ["file:///etc/passwd", "it is a URL such as"],
    ["http://a:b@127.0.0.1:9400/metrics", "it has no user or password"],
  ])("%s is refused", (url, rule) => {
    expect(() => exporterPage(url, node)).toThrow(rule);
  });

  test("the node's address is no way in where nobody says it", () => {
    expect(() => exporterPage("http://10.0.0.7:9400/metrics", [])).toThrow("NODE_IP does not say");
  });

  test("the usual place is the node's own address, or loopback", () => {
    const table = { port: 9400, path: "/metrics" };
    expect(defaultExporterUrl(table, [])).toBe("http://127.0.0.1:9400/metrics");
    expect(defaultExporterUrl(table, node)).toBe("http://10.0.0.7:9400/metrics");
    expect(defaultExporterUrl(table, ["fd00::7"])).toBe("http://[fd00::7]:9400/metrics");
  });
});
