import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import type { Browser, Page } from "playwright-core";
import { layEngine } from "../../src/build/engine.ts";
import { layPage } from "../../src/build/page.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";

// `bun run screenshots` takes a picture of every view of the demonstration, light and dark, on a phone and on a desk.

const root = join(import.meta.dir, "../..");
const folder = join(root, "docs/page");
const themes = ["light", "dark"] as const;
const sizes = [
  { width: 390, height: 844 },
  { width: 1440, height: 900 },
];
/** WebP keeps letters sharp at a quarter of PNG's size. */
const QUALITY = 72;

/** What a picture shows: the address, and what is done there before it is taken. */
interface Shot {
  name: string;
  path: string;
  /** Until this is there, the view is not ready. */
  ready: string;
  act?: (page: Page) => Promise<void>;
}

const shots: Shot[] = [
  { name: "home", path: "/", ready: ".home:has(.chart):not(:has-text('…'))" },
  { name: "conversations", path: "/conversations", ready: ".list-row" },
  {
    name: "conversation",
    path: "/conversations",
    ready: ".list-row",
    act: (page) => opened(page, "The order form loses"),
  },
  { name: "search", path: "/search?q=pickup+day", ready: ".facet-count" },
  { name: "live", path: "/live", ready: ".live-item" },
  { name: "calls", path: "/calls", ready: ".calls-time" },
  { name: "session", path: "/calls?upstream=orders", ready: ".calls-time", act: waterfall },
  { name: "contexts", path: "/context", ready: ".context-row", act: (page) => firstContext(page) },
  { name: "share", path: "/conversations", ready: ".list-row", act: shared },
];

async function opened(page: Page, title: string): Promise<void> {
  await page.getByRole("link", { name: title }).first().click();
  await page.waitForSelector(".turn-body");
}

/** A session's calls, with one of them open. */
async function waterfall(page: Page): Promise<void> {
  const link = page.locator("tr:has(.calls-bar) .call-link").filter({ hasText: "print_label" }).first();
  const name = new URL((await link.getAttribute("href")) ?? "", page.url()).searchParams.get("call") ?? "";
  const [session] = name.split(".");
  await page.goto(new URL(`/calls?session=${session}&call=${name}`, page.url()).href);
  await page.waitForSelector(".call-details h3");
}

async function firstContext(page: Page): Promise<void> {
  await page.locator(".context-row").getByRole("link", { name: "house rules" }).click();
  await page.waitForSelector(".versions .diff");
}

async function shared(page: Page): Promise<void> {
  await opened(page, "The order form loses");
  await page.keyboard.press("S");
  await page.waitForSelector(".share");
}

async function take(browser: Browser, address: string, theme: (typeof themes)[number], size: (typeof sizes)[number]) {
  const context = await browser.newContext({
    viewport: size,
    colorScheme: theme,
    reducedMotion: "reduce",
    locale: "en-GB",
  });
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  for (const { name, path, ready, act } of shots) {
    await page.goto(new URL(path, address).href);
    // On a phone the facets are in a menu.
    await page.waitForSelector(ready, { state: "attached" });
    await act?.(page);
    await page.evaluate("document.fonts.ready.then(() => true)");
    const { data } = await devtools.send("Page.captureScreenshot", { format: "webp", quality: QUALITY });
    writeFileSync(join(folder, `${name}-${theme}-${size.width}.webp`), Buffer.from(data, "base64"));
  }
  await context.close();
}

/** The address that the demonstration prints. */
async function addressOf(output: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of output) {
    text += new TextDecoder().decode(chunk);
    const [, address] = /The page is at (\S+)/.exec(text) ?? [];
    if (address !== undefined) return address;
  }
  throw new Error("the demonstration ended");
}

mkdirSync(folder, { recursive: true });
using home = temporaryHome();
await layEngine();
await layPage();
await using demo = Bun.spawn([process.execPath, join(root, "src/main.ts"), "demo"], {
  env: plainEnvironment(home.path),
  stdout: "pipe",
  stderr: "inherit",
});
const address = await addressOf(demo.stdout);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const theme of themes) for (const size of sizes) await take(browser, address, theme, size);
await browser.close();
console.log(`Screenshots of ${shots.length} views are in ${folder}`);
