import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser } from "playwright-core";
import { clusterScene } from "../cluster/scene.ts";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import {
  answeredTrigger,
  refusedTrigger,
  statusNode,
  statusServer,
} from "../support/status-server.ts";
import { type OpenPage, openPage, startBrowser } from "./browser.ts";

setDefaultTimeout(120_000);
let browser: Browser;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());

const first = async ({ texts }: OpenPage, selector: string) => (await texts(selector))[0];
const figures = ".card .figures dd";

describe("the page of a scaler in a cluster", () => {
  const keda = foreignClient();
  afterAll(() => keda[Symbol.asyncDispose]());

  test("shows a workload and its devices, follows them, and explains them", async () => {
    await using scene = await clusterScene({ keda, nodes: ["node-a"] });
    scene.node("node-a").gpus([{ percent: 92, pod: "llm-0" }]);
    scene.workload({
      name: "llm",
      metadata: { metricType: "gpu_utilization" },
      pods: [{ name: "llm-0", node: "node-a" }],
    });
    const url = `http://127.0.0.1:${scene.scaler().serving.httpPort}/`;
    await using open = await openPage(browser, { url });
    await eventually(() => open.texts(figures), ["92", "80", "1 → 2 (0 to 100)"]);
    expect(await open.texts(".card h3")).toEqual(["default/llm"]);
    expect(await first(open, ".tile .holders")).toBe("default/llm-0");
    scene.node("node-a").gpus([{ percent: 33, pod: "llm-0" }]);
    await eventually(() => first(open, figures), "33");

    await open.page.locator(".title").click();
    await eventually(() => open.texts(".explained tbody td:first-child"), ["llm-0", "node-a"]);
    const text = (await open.texts("#explanation")).join();
    expect(text).toContain("of gpu_utilization");
    expect(text).toContain("rounded up outside the tolerance: 1; spec.replicas is 1");
    expect(open.complaints).toEqual([]);
  });

  test("shows a misspelt key, which KEDA shows to nobody", async () => {
    await using scene = await clusterScene({ keda, nodes: ["node-a"] });
    scene.workload({ name: "llm", metadata: { metricTyp: "gpu_utilization" }, pods: [] });
    const url = `http://127.0.0.1:${scene.scaler().serving.httpPort}/`;
    await using open = await openPage(browser, { url });
    await eventually(() => open.texts(".chip"), ["no answer"]);
    const note = await first(open, ".card .note");
    expect(note).toContain('"metricTyp": unknown key; did you mean metricType?');
  });
});

describe.each([
  ["light", 400],
  ["dark", 400],
  ["light", 2_000],
  ["dark", 2_000],
] as const)("in the %s theme, %d px wide,", (theme, width) => {
  test("it is accessible, fits, and complains of nothing", async () => {
    await using server = statusServer();
    server.nodes.push(statusNode(0), {
      ...statusNode(1),
      devices: statusNode(1).devices.map((device) => ({
        ...device,
        health: { state: "lost", reason: "gone from the bus" },
      })),
    });
    server.triggers.push(answeredTrigger("llm"), refusedTrigger("tts"), {
      ...answeredTrigger("asr"),
      warnings: [{ code: "no-wake-source", message: "nothing wakes it" }],
    });
    await using open = await openPage(browser, { url: server.url, width, theme });
    await open.page.locator(".card canvas").first().waitFor();
    // What has no answer goes first, then what is warned of.
    expect(await open.texts(".chip")).toEqual(["no answer", "warning", "active"]);
    expect(await open.violations()).toEqual([]);
    const widest = await open.page.evaluate("document.documentElement.scrollWidth");
    expect(widest).toBeLessThanOrEqual(width);

    await open.page.locator(".title").last().click();
    await open.page.locator(".explained canvas").first().waitFor();
    expect(await open.violations()).toEqual([]);
    expect(open.complaints).toEqual([]);
  });
});

describe("it", () => {
  test("is used by the keyboard alone", async () => {
    await using server = statusServer();
    server.triggers.push(answeredTrigger("llm"), answeredTrigger("tts"));
    await using open = await openPage(browser, { url: server.url });
    const { page } = open;
    await page.locator(".card canvas").first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("tt");
    await eventually(() => open.texts(".card h3"), ["ml/tts"]);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator(".explained h3").waitFor();
    expect(await open.texts("#explanation-title")).toEqual(["ml/tts"]);
    await page.keyboard.press("Escape");
    await eventually(() => page.locator("dialog").isVisible(), false);
    expect(await page.evaluate("document.activeElement.textContent")).toBe("ml/tts");
  });

  test("survives a restart of the scaler, and drops what that does not know", async () => {
    const before = statusServer();
    before.triggers.push(answeredTrigger("llm"), answeredTrigger("tts"));
    await using open = await openPage(browser, { url: before.url });
    await eventually(() => open.texts(".card h3"), ["ml/llm", "ml/tts"]);
    await before.stop();
    await eventually(
      () => first(open, "#connection"),
      "The scaler cannot be reached; trying again.",
    );
    await using after = statusServer(before.port);
    after.triggers.push(answeredTrigger("llm", 800));
    await eventually(() => first(open, "#connection"), "live");
    await eventually(() => open.texts(".card h3"), ["ml/llm"]);
    await eventually(() => first(open, figures), "800");
    expect(open.complaints).toEqual([]);
  });

  test("shows no bar of what was not read, for an empty one says 0", async () => {
    await using server = statusServer();
    const { devices, ...node } = statusNode(0);
    const [device] = devices;
    if (device === undefined) throw new Error("a node has devices");
    const bars = async () => [
      (await open.texts(".meter span:last-child")).join(),
      await open.page.locator("meter:visible").count(),
    ];
    server.nodes.push({ ...node, devices: [{ ...device, readings: {} }] });
    await using open = await openPage(browser, { url: server.url });
    await eventually(bars, ["– %,– / – GiB", 0]);
    server.nodes.splice(0, 1, { ...node, devices: [device] });
    await eventually(bars, ["40 %,40 / 80 GiB", 2]);
  });

  test("shows what a workload draws once it is known", async () => {
    await using server = statusServer();
    server.triggers.push(answeredTrigger("llm"));
    await using open = await openPage(browser, { url: server.url });
    await eventually(async () => (await open.texts(figures)).length, 3);
    server.powers.set("llm", 1_234.5);
    await eventually(async () => (await open.texts(figures)).at(3), "1,235 W");
    server.powers.clear();
    await eventually(async () => (await open.texts(figures)).length, 3);
  });

  test("shows names as they are, whatever they contain", async () => {
    await using server = statusServer();
    const name = "<img src=x onerror=alert(1)>";
    server.triggers.push({ ...answeredTrigger("llm"), ref: { ...answeredTrigger(name).ref } });
    await using open = await openPage(browser, { url: server.url });
    await eventually(() => open.texts(".card h3"), [`ml/${name}`]);
    expect(await open.page.locator("img").count()).toBe(0);
    expect(open.complaints).toEqual([]);
  });

  test("may load nothing from elsewhere, and be framed by nobody", async () => {
    await using server = statusServer();
    const { headers } = await fetch(server.url);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toStartWith("default-src 'none'; script-src 'sha256-");
    expect(policy).not.toContain("unsafe");
    expect(policy).toContain("frame-ancestors 'none'");
    const html = await (await fetch(server.url)).text();
    expect(html).not.toMatch(/(src|href)="(?!#)/);
  });

  test("draws what is on the screen alone, of 1,000 devices and 500 triggers", async () => {
    await using server = statusServer();
    for (let number = 0; number < 125; number += 1) server.nodes.push(statusNode(number));
    for (let number = 0; number < 500; number += 1)
      server.triggers.push(answeredTrigger(`llm-${number}`));
    await using open = await openPage(browser, { url: server.url });
    const { page } = open;
    await page.locator(".card canvas").first().waitFor();
    expect(await page.locator(".card").count()).toBe(500);
    expect(await page.locator(".card canvas").count()).toBeLessThan(50);
    await page.locator("#filter").fill("llm-499");
    await eventually(() => open.texts(figures), ["276", "80", "3 → 4 (1 to 9)"]);
    await page.locator("#filter").fill("pod-124-7");
    await eventually(() => open.texts(".node h3"), ["node-124"]);
    await eventually(() => page.locator(".tile").count(), 8);
    expect(open.complaints).toEqual([]);
  });
});
