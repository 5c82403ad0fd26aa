/**
 * A real browser, from a package that carries it: it needs no rights and nothing installed.
 *
 * @module
 */
import chromium from "@sparticuz/chromium";
import axe from "axe-core";
import { type Browser, type Page, chromium as playwright } from "playwright-core";

export interface PageOptions {
  readonly url: string;
  /** Pixels; default 1,280. */
  readonly width?: number;
  readonly theme?: "light" | "dark";
}

export interface OpenPage extends AsyncDisposable {
  readonly page: Page;
  /** What the page has complained of, in its console or by an error that nobody caught. */
  readonly complaints: readonly string[];
  /** The rules of accessibility that it breaks. */
  readonly violations: () => Promise<readonly string[]>;
  /** Every text that an element shows, by selector. */
  readonly texts: (selector: string) => Promise<readonly string[]>;
}

export async function startBrowser(): Promise<Browser> {
  return playwright.launch({
    executablePath: await chromium.executablePath(),
    // As root, as in a container, there is no sandbox; there is no graphics card either.
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
}

export async function openPage(
  browser: Browser,
  { url, width = 1_280, theme = "light" }: PageOptions,
): Promise<OpenPage> {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: theme,
    locale: "en-GB",
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    // While the server is away the browser says so of each attempt.
    if (!message.text().includes("net::ERR_")) complaints.push(message.text());
  });
  page.on("pageerror", ({ message }) => complaints.push(message));
  await page.goto(url);
  return {
    page,
    complaints,
    violations: async () => {
      await page.evaluate(axe.source);
      const results: axe.AxeResults = await page.evaluate("axe.run()");
      return results.violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`,
      );
    },
    texts: (selector) => page.locator(selector).allTextContents(),
    [Symbol.asyncDispose]: () => context.close(),
  };
}
