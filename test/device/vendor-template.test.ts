/** The collector that CONTRIBUTING.md begins with: it is this file, and it works. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualClock } from "../support/manual-clock.ts";
import { acmeVendor } from "./vendor-template.ts";

const root = join(import.meta.dir, "..", "..");

test("CONTRIBUTING.md has the template that the type checker reads", () => {
  const document = readFileSync(join(root, "CONTRIBUTING.md"), "utf8");
  const [, block] = /```ts\n([\s\S]*?)```/.exec(document) ?? [];
  expect(block).toBe(readFileSync(join(import.meta.dir, "vendor-template.ts"), "utf8"));
});

test("the template keeps the contract", async () => {
  const sysfsRoot = mkdtempSync(join(tmpdir(), "acme-"));
  const options = { collector: "auto", sysfsRoot } as const;
  const tools = { clock: manualClock(), log: () => {}, sleep: () => {} };
  const { collect } = acmeVendor.collector(options, tools);
  const pass = async () => (await collect({ pcieThroughput: false })).devices;
  try {
    expect(acmeVendor.isPresent(options)).toBe(false);
    expect(() => collect({ pcieThroughput: false })).toThrow("Cannot list");
    const device = join(sysfsRoot, "class", "acme", "acme-1");
    mkdirSync(device, { recursive: true });
    writeFileSync(join(device, "busy_percent"), "42\n");
    writeFileSync(join(device, "power_watts"), "300\n");
    expect(acmeVendor.isPresent(options)).toBe(true);
    const [one] = await pass();
    expect(one?.readings).toEqual({ utilizationPercent: 42, powerAverageMilliwatts: 300_000 });
    expect(one?.absences.temperatureCelsius).toBe("unsupported");
    writeFileSync(join(device, "busy_percent"), "4200\n");
    expect((await pass())[0]?.absences.utilizationPercent).toBe("implausible");
    rmSync(device, { recursive: true });
    const [gone] = await pass();
    expect(gone).toMatchObject({ health: { state: "lost" }, readings: {} });
    expect(gone?.absences.utilizationPercent).toBe("failed");
  } finally {
    rmSync(sysfsRoot, { recursive: true });
  }
});
