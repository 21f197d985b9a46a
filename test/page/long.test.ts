import { beforeAll, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { browserPath, fileBrowser } from "../support/browser.ts";
import { fileListener } from "../support/listener.ts";
import { until } from "../support/rpc.ts";
import { storeTalk } from "../support/talks.ts";

// Conversations of a year of work.

const TURNS = 50_000;
/** Messages that one call stores. */
const AT_ONCE = 10_000;

/** Whether turns are shown, and none of them is awaited. */
const IS_SETTLED = "document.querySelector('article') !== null && document.querySelector('.turn-awaited') === null";

describe.skipIf(browserPath === null)("a conversation of 50,000 turns", () => {
  const served = fileListener();
  const browsing = fileBrowser();
  let address: string;

  beforeAll(async () => {
    const { store, url } = served.listener;
    const id = await storeTalk(store, {
      title: "The long one",
      said: [{ role: "user", content: "Turn 1", kind: "prompt" }],
    });
    for (let stored = 1; stored < TURNS; stored += AT_ONCE) {
      const messages = Array.from({ length: Math.min(AT_ONCE, TURNS - stored) }, (_, index) => {
        const turn = stored + index + 1;
        const lines = Array.from({ length: turn % 7 }, (_, line) => `line ${line} of it`).join("\n\n");
        const isPrompt = turn % 5 === 1;
        return {
          role: isPrompt ? ("user" as const) : ("assistant" as const),
          content: `Turn ${turn}\n\n${lines}`,
          metadata: { kind: isPrompt ? "prompt" : "answer" },
        };
      });
      await store.messages.storeBulk({ conversation_id: id, messages, skip_known: false });
    }
    address = `${url.replace("ws:", "http:")}conversation/${id}`;
  });

  const shown = (page: Page, turn: number) => page.locator(`article[data-turn='${turn}']`);
  /** How far a turn's top is below the top of the list. */
  const distance = (page: Page, turn: number) =>
    page
      .locator(`article[data-turn='${turn}']`)
      .evaluate((article) => article.getBoundingClientRect().top)
      .then(async (top) => top - ((await page.locator(".turns .scroller").boundingBox())?.y ?? 0));

  test("opens at a turn by its address, and keeps it in its place while the rest arrives", async () => {
    const page = await browsing.open(`${address}?turn=31234`);
    await shown(page, 31_234).getByText("Turn 31234").waitFor();
    // Once more frames have been drawn, what was estimated is measured.
    await until("the turns", () => page.evaluate<boolean>(IS_SETTLED));
    expect(await distance(page, 31_234)).toBeLessThan(30);
    expect(await distance(page, 31_234)).toBeGreaterThanOrEqual(0);
    expect(await page.locator("article").count()).toBeLessThan(100);
  });

  test("scrolls anywhere, with few rows in the document and bounded memory", async () => {
    const page = await browsing.open(address);
    await shown(page, 1).waitFor();
    const session = await page.context().newCDPSession(page);
    const heapBytes = async () => {
      await session.send("HeapProfiler.collectGarbage");
      return (await session.send("Runtime.getHeapUsage")).usedSize;
    };
    const before = await heapBytes();
    for (let step = 1; step <= 20; step += 1) {
      const scroller = page.locator(".turns .scroller");
      await scroller.evaluate((box, share) => box.scrollTo(0, box.scrollHeight * share), step / 20);
      await until("the turns", () => page.evaluate<boolean>(IS_SETTLED));
      expect(await page.locator("article").count()).toBeLessThan(120);
    }
    await shown(page, TURNS).waitFor();
    const grownBytes = (await heapBytes()) - before;
    expect(grownBytes).toBeLessThan(60_000_000);
  });

  test("its last and first turns are two keys away, and so is the next prompt", async () => {
    const page = await browsing.open(address);
    await shown(page, 1).waitFor();
    await page.keyboard.press("G");
    await shown(page, TURNS).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("g");
    await shown(page, 1).waitFor();
    await page.keyboard.press("Shift+J");
    await page.locator("article[data-turn='6'][data-current]").waitFor();
  });

  test("a reload and going back return to the place where one was", async () => {
    const page = await browsing.open(`${address}?turn=20000`);
    await shown(page, 20_000).waitFor();
    await page.locator(".turns .scroller").hover();
    await page.mouse.wheel(0, 6000);
    await until("the place to be kept", () => page.evaluate<boolean>("history.state?.turn > 20010"));
    const turn: number = await page.evaluate("history.state.turn");
    await page.reload();
    await shown(page, turn).waitFor();
    expect(await distance(page, turn)).toBeLessThan(200);
    await page.getByRole("link", { name: "Conversations" }).click();
    await page.getByText("The long one").first().waitFor();
    await page.goBack();
    await shown(page, turn).waitFor();
  });

  test("its outline holds every prompt and follows the reading", async () => {
    const page = await browsing.open(`${address}?turn=40001`);
    const line = page.getByRole("navigation", { name: "Prompts" }).locator("[aria-current]");
    await line.getByText("Turn 40001").waitFor();
    await page.locator(".outline-box").evaluate((box) => (box.scrollTop = box.scrollHeight));
    await page.getByRole("navigation", { name: "Prompts" }).getByRole("link", { name: "Turn 49996" }).click();
    await shown(page, 49_996).waitFor();
  });
});
