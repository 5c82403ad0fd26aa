import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { engineBodyBytesMax, exporterReadMs } from "#core/limits.ts";
import { chooseCollector } from "#device/worker.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { collectorOn, exporterServer, pageNamed } from "./exporter-server.ts";

/** A table of our own in a file, of two series with a label `chip`. */
function tableFile(changes: Readonly<Record<string, unknown>> = {}) {
  const directory = mkdtempSync(join(tmpdir(), "exporter-"));
  const path = join(directory, "table.yaml");
  const table = {
    name: "Acme",
    source: "https://acme.example/exporter",
    version: "1",
    date: "2026-11-24",
    vendor: "acme",
    port: 9999,
    device: { id: "acme-{chip}", index: "{chip}", model: "Acme One" },
    readings: {
      utilizationPercent: { series: "busy", unit: "ratio" },
      pcieRxKilobytesPerSecond: { series: "rx_bytes_total", unit: "bytes/s", kind: "counter" },
    },
    ...changes,
  };
  writeFileSync(path, JSON.stringify(table));
  return { path, [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
}

const unreadable = (problem: RegExp) =>
  expect.objectContaining({
    code: "exporter-unreadable",
    message: expect.stringMatching(problem),
  });

describe("a counter", () => {
  test("is what it grew by in a second, and pending until it was read twice", async () => {
    using table = tableFile();
    using server = exporterServer('rx_bytes_total{chip="0"} 1000\n');
    const { devices, clock } = collectorOn({ table: table.path, url: server.url });
    const rx = async (page: string) => {
      server.answer(page);
      clock.advance(2_000);
      const [{ readings, absences } = {}] = await devices();
      return readings?.pcieRxKilobytesPerSecond ?? absences?.pcieRxKilobytesPerSecond;
    };
    expect(await rx('rx_bytes_total{chip="0"} 1000\n')).toBe("pending");
    expect(await rx('rx_bytes_total{chip="0"} 21000\n')).toBe(10);
    expect(await rx('rx_bytes_total{chip="0"} 21000\n')).toBe(0);
    // It began anew: what it was before says nothing.
    expect(await rx('rx_bytes_total{chip="0"} 50\n')).toBe("pending");
    expect(await rx('rx_bytes_total{chip="0"} 2050\n')).toBe(1);
  });

  test("of an exporter that collects by itself is taken from one change to the next", async () => {
    using table = tableFile({ collectionSeconds: 10 });
    using server = exporterServer('rx_bytes_total{chip="0"} 0\n');
    const { devices, clock } = collectorOn({ table: table.path, url: server.url });
    const taken: unknown[] = [];
    for (let second = 0; second <= 45; second += 5) {
      const changes = Math.min(Math.floor((second + 4) / 10), 2);
      server.answer(`rx_bytes_total{chip="0"} ${changes * 10_000}\n`);
      const [{ readings, absences } = {}] = await devices();
      taken.push(readings?.pcieRxKilobytesPerSecond ?? absences?.pcieRxKilobytesPerSecond);
      clock.advance(5_000);
    }
    // Changes are seen at 10 s and 20 s; after two intervals without one it stands still.
    expect(taken.slice(0, 4)).toEqual(["pending", "pending", "pending", "pending"]);
    expect(taken.slice(4, 9)).toEqual([1, 1, 1, 1, 1]);
    expect(taken[9]).toBe(0);
  });
});

test("power from energy spans the exporter's own collections, never a part of one", async () => {
  using table = tableFile({
    collectionSeconds: 30,
    readings: { energyMillijoules: { series: "energy_joules_total", unit: "joules" } },
  });
  using server = exporterServer("");
  const clock = manualClock();
  const exporter = { table: table.path, url: server.url, nodeAddresses: [] };
  const { collect, close } = chooseCollector(
    { collector: "exporter", exporter },
    { clock, log: () => {}, sleep: () => {} },
  );
  const powers = new Set<unknown>();
  for (let second = 0; second < 100; second += 1) {
    // 200 W, counted every 30 s.
    server.answer(`energy_joules_total{chip="0"} ${Math.floor((second + 7) / 30) * 6_000 + 1}\n`);
    const [one] = (await collect({ pcieThroughput: false })).devices;
    powers.add(one?.readings.powerFromEnergyMilliwatts ?? one?.absences.powerFromEnergyMilliwatts);
    clock.advance(1_000);
  }
  close();
  expect([...powers]).toEqual(["pending", 200_000]);
});

describe("a series that is not on the page", () => {
  test("is unsupported when it never was there, and failed when it was", async () => {
    using table = tableFile();
    using server = exporterServer('busy{chip="0"} 0.5\nbusy{chip="1"} 0.25\n');
    const { devices } = collectorOn({ table: table.path, url: server.url });
    const [first] = await devices();
    expect(first?.readings).toEqual({ utilizationPercent: 50 });
    expect(first?.absences.pcieRxKilobytesPerSecond).toBe("unsupported");
    server.answer('rx_bytes_total{chip="0"} 1\nbusy{chip="1"} 0.25\n');
    const [later] = await devices();
    expect(later?.readings).toEqual({});
    expect(later?.absences.utilizationPercent).toBe("failed");
  });

  test("and so is a value that stands for none, and one that is not a number", async () => {
    using table = tableFile({ blanks: [-1] });
    using server = exporterServer(
      'busy{chip="0"} -1\nbusy{chip="1"} NaN\nrx_bytes_total{chip="1"} 1\n',
    );
    const { devices } = collectorOn({ table: table.path, url: server.url });
    const absent = (await devices()).map(({ absences }) => absences.utilizationPercent);
    expect(absent).toEqual(["unsupported", "unsupported"]);
  });

  test("what cannot be true is implausible", async () => {
    using table = tableFile();
    using server = exporterServer('busy{chip="0"} 3\n');
    const { devices } = collectorOn({ table: table.path, url: server.url });
    const [one] = await devices();
    expect(one?.absences.utilizationPercent).toBe("implausible");
  });

  test("several where the table expects one say nothing", async () => {
    using table = tableFile();
    using server = exporterServer('busy{chip="0",core="0"} 1\nbusy{chip="0",core="1"} 0\n');
    const { devices } = collectorOn({ table: table.path, url: server.url });
    const [one] = await devices();
    expect(one?.absences.utilizationPercent).toBe("failed");
  });

  test.each([
    ["sum", 75],
    ["max", 50],
    ["mean", 37.5],
  ])("several are reduced by %s", async (reduce, value) => {
    using table = tableFile({
      readings: { utilizationPercent: { series: "busy", unit: "ratio", reduce } },
    });
    using server = exporterServer('busy{chip="0",core="0"} 0.5\nbusy{chip="0",core="1"} 0.25\n');
    const { devices } = collectorOn({ table: table.path, url: server.url });
    expect((await devices())[0]?.readings).toEqual({ utilizationPercent: value });
  });
});

describe("a device that is not on the page any more", () => {
  test("is lost, and well again when it is back", async () => {
    using table = tableFile();
    using server = exporterServer('busy{chip="0"} 0.5\nbusy{chip="1"} 0.25\n');
    const { devices, logged } = collectorOn({ table: table.path, url: server.url });
    await devices();
    server.answer('busy{chip="1"} 0.25\n');
    const after = await devices();
    const gone = after.find(({ uuid }) => uuid === "acme-0");
    expect(after).toHaveLength(2);
    expect(gone).toMatchObject({ health: { state: "lost" }, readings: {}, index: 0 });
    expect(gone?.absences.utilizationPercent).toBe("failed");
    expect(gone?.absences.memoryUsedBytes).toBe("unsupported");
    server.answer('busy{chip="0"} 0.5\nbusy{chip="1"} 0.25\n');
    expect((await devices())[0]).toMatchObject({ health: { state: "ok" } });
    expect(logged).toEqual(["gpu unhealthy", "gpu recovered"]);
  });

  test("leaves the others their numbers where the page has none", async () => {
    using table = tableFile({ device: { id: "acme-{chip}", model: "Acme One" } });
    using server = exporterServer('busy{chip="0"} 0.5\nbusy{chip="1"} 0.25\n');
    const { devices } = collectorOn({ table: table.path, url: server.url });
    await devices();
    server.answer('busy{chip="1"} 0.25\nbusy{chip="2"} 0.25\n');
    const indexes = (await devices()).map(({ uuid, index }) => [uuid, index]);
    expect(Object.fromEntries(indexes)).toEqual({ "acme-0": 0, "acme-1": 1, "acme-2": 2 });
  });

  test("is idle where the exporter shows only what runs, and then has no reading", async () => {
    using server = exporterServer(pageNamed("neuron-idle"));
    const { devices } = collectorOn({ table: "neuron", url: server.url });
    expect(await devices()).toEqual([]);
    server.answer(pageNamed("neuron"));
    expect(await devices()).toHaveLength(2);
    server.answer(pageNamed("neuron-idle"));
    const [idle] = await devices();
    expect(idle).toMatchObject({ health: { state: "ok" }, readings: {} });
    expect(idle?.absences.utilizationPercent).toBe("failed");
  });
});

describe("a page that cannot be read is a fault, and the next one counts again", () => {
  const page = 'busy{chip="0"} 0.5\n';
  test.each<[string, () => Response, RegExp]>([
    [
      "a status",
      () => new Response("", { status: 503 }),
      /it answers with status 503; see whether/,
    ],
    ["credentials", () => new Response("", { status: 401 }), /401; it wants credentials/],
    [
      "a redirect, also to its own path with a slash",
      () => new Response("", { status: 301, headers: { location: "/metrics/" } }),
      /redirects to \/metrics\/, which is not followed/,
    ],
    ["a page of something else", () => new Response("<html></html>"), /got "<html><\/html>"/],
    ["no device", () => new Response("up 1\n"), /no device, by busy.*--exporter$/],
    [
      "a page too large",
      () => new Response("x".repeat(engineBodyBytesMax + 1)),
      /larger than 8388608 bytes/,
    ],
  ])("%s", async (_what, answer, problem) => {
    using table = tableFile();
    using server = exporterServer(answer);
    const { devices } = collectorOn({ table: table.path, url: server.url });
    await expect(devices()).rejects.toEqual(unreadable(problem));
    server.answer(page);
    expect(await devices()).toHaveLength(1);
  });

  test("nobody listens there", async () => {
    using table = tableFile();
    const server = exporterServer(page);
    const { devices } = collectorOn({ table: table.path, url: server.url });
    await devices();
    server[Symbol.dispose]();
    await expect(devices()).rejects.toEqual(unreadable(/^Cannot read the exporter at http:/));
  });

  test("no answer in time", async () => {
    using table = tableFile();
    using server = exporterServer(page);
    const asked = Promise.withResolvers<void>();
    server.answer(() => {
      asked.resolve();
      return new Promise<Response>(() => {});
    });
    const { devices, clock } = collectorOn({ table: table.path, url: server.url });
    const taken = devices();
    await asked.promise;
    clock.advance(exporterReadMs);
    await expect(taken).rejects.toEqual(unreadable(/it takes longer than 2000 ms/));
  });

  test("more devices than a node has", async () => {
    using table = tableFile();
    const lines = Array.from({ length: 513 }, (_, chip) => `busy{chip="${chip}"} 0.5\n`);
    using server = exporterServer(lines.join(""));
    const { devices } = collectorOn({ table: table.path, url: server.url });
    await expect(devices()).rejects.toEqual(unreadable(/at most 512 devices, got 513/));
  });
});

test("a table that cannot be used is told with every problem, and read again", async () => {
  using table = tableFile({ port: 0, prot: 1 });
  using server = exporterServer('busy{chip="0"} 0.5\n');
  const { devices } = collectorOn({ table: table.path, url: server.url });
  await expect(devices()).rejects.toEqual(
    expect.objectContaining({
      code: "file-invalid",
      message: expect.stringMatching(/port: must be a whole number .*got 0.*prot: unknown key/),
    }),
  );
  expect(server.requests()).toBe(0);
  using right = tableFile();
  writeFileSync(table.path, readFileSync(right.path));
  expect(await devices()).toHaveLength(1);
});
