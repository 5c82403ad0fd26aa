/**
 * How smooth the status page is with 1,000 devices and 500 triggers that all change each second: frames
 * and long tasks (above 50 ms) in a headless browser that scrolls through it, and what the server pays.
 *
 *     bun bench/page.ts
 */
import { openPage, startBrowser } from "../test/page/browser.ts";
import { answeredTrigger, statusNode, statusServer } from "../test/support/status-server.ts";

const nodes = 125;
const triggers = 500;
const seconds = 20;

await using server = statusServer();
const change = (tick: number) => {
  server.nodes.length = 0;
  server.triggers.length = 0;
  for (let number = 0; number < nodes; number += 1)
    server.nodes.push(statusNode(number, (tick * 7 + number) % 100));
  for (let number = 0; number < triggers; number += 1)
    server.triggers.push(answeredTrigger(`llm-${number}`, 100 + ((tick * 13 + number) % 300)));
};
change(0);
let tick = 0;
const timer = setInterval(() => {
  tick += 1;
  change(tick);
}, 1_000);

const browser = await startBrowser();
const { page } = await openPage(browser, { url: server.url });
await page.locator(".card canvas").first().waitFor();
const before = process.cpuUsage();
const measured: Measured = await page.evaluate(`new Promise((done) => {
  const tasks = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => one.duration)))
    .observe({ type: "longtask" });
  let frames = 0;
  let last = performance.now();
  let worst = 0;
  const end = last + ${seconds * 1_000};
  const frame = (now) => {
    frames += 1;
    worst = Math.max(worst, now - last);
    last = now;
    scrollBy(0, 20);
    if (now < end) requestAnimationFrame(frame);
    else done({ frames, worst, tasks });
  };
  requestAnimationFrame(frame);
})`);
const cpu = process.cpuUsage(before);
clearInterval(timer);
await browser.close();

interface Measured {
  readonly frames: number;
  readonly worst: number;
  readonly tasks: readonly number[];
}

const long = measured.tasks.toSorted((one, other) => one - other);
console.log(`frames a second      ${(measured.frames / seconds).toFixed(0)}`);
console.log(`longest frame        ${measured.worst.toFixed(0)} ms`);
console.log(`tasks above 50 ms    ${(long.length / seconds).toFixed(1)} a second`);
console.log(`longest of them      ${(long.at(-1) ?? 0).toFixed(0)} ms`);
console.log(
  `the server           ${((cpu.user + cpu.system) / 1e4 / seconds).toFixed(1)} % of a core`,
);
