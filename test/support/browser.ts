import { afterAll, afterEach, beforeAll, expect } from "bun:test";
import { chromium } from "playwright-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { PATIENCE_MS } from "./patience.ts";

/** Debian's browser; tests of the page are skipped where there is none. */
export const browserPath = Bun.which("chromium");

export interface Browsing {
  /** Opens an address in a context of its own, which closes after the test. */
  open(url: string, options?: BrowserContextOptions): Promise<Page>;
  /** Errors in the page, among them everything that its security policy forbade. */
  readonly complaints: string[];
  /** Takes back complaints that a test expects, such as those of a server that was away. */
  pardon(pattern: RegExp): void;
}

/** A browser for the tests of a file. After each test its pages close, and it fails when one of them complained. */
export function fileBrowser(): Browsing {
  let browser: Browser;
  const complaints: string[] = [];
  const pages: Page[] = [];
  beforeAll(async () => {
    // Its own sandbox needs rights that tests as root in a container do not have.
    browser = await chromium.launch({ executablePath: browserPath ?? "", args: ["--no-sandbox"] });
  });
  afterAll(() => browser?.close());
  afterEach(async () => {
    await Promise.all(pages.splice(0).map((page) => page.context().close()));
    expect(complaints.splice(0)).toEqual([]);
  });
  return {
    complaints,
    pardon(pattern) {
      complaints.splice(0, complaints.length, ...complaints.filter((each) => !pattern.test(each)));
    },
    async open(url, options = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
      context.setDefaultTimeout(PATIENCE_MS);
      const page = await context.newPage();
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("console", (message) => {
        if (message.type() === "error") complaints.push(message.text());
      });
      pages.push(page);
      await page.goto(url);
      return page;
    },
  };
}
