import { beforeAll, describe, expect, test } from "bun:test";
import { browserPath, fileBrowser } from "../support/browser.ts";
import { fileListener } from "../support/listener.ts";
import { answer, called, prompt, result, storeTalk } from "../support/talks.ts";

// Texts that are not what most are: of other scripts, wide, and with long names.

const WIDE_TABLE = ["|a|".repeat(40), "|-|".repeat(40), "|value|".repeat(40)]
  .map((line) => line.replaceAll("||", "|"))
  .join("\n");

describe.skipIf(browserPath === null)("a conversation is read", () => {
  const served = fileListener();
  const browsing = fileBrowser();
  let origin: string;
  let talk: string;

  beforeAll(async () => {
    const { store, url } = served.listener;
    origin = url.replace("ws:", "http:").replace(/\/$/, "");
    talk = await storeTalk(store, {
      title: "Odd texts",
      said: [
        prompt("لماذا لا يعمل الخادم؟"),
        answer("1. افتح الملف\n2. غيّر `listen_addresses`\n\nthen\n\n- open it\n- change it"),
        answer(WIDE_TABLE),
        called("mcp__files__read", { path: "a" }),
        result("mcp__files__read", "nothing"),
      ],
    });
  });

  test("in lists whose numbers stand where their items begin", async () => {
    const page = await browsing.open(`${origin}/conversation/${talk}`, { viewport: { width: 390, height: 800 } });
    const lists = page.locator("article[data-turn='2'] :is(ol, ul)");
    await lists.first().waitFor();
    expect(await lists.evaluateAll((all) => all.map(({ dir }) => dir))).toEqual(["rtl", "ltr"]);
    // Markers stand in the padding: on the right of the first, and on the left of the second.
    const padded: number[][] = await page.evaluate(
      "[...document.querySelectorAll('article[data-turn=\"2\"] :is(ol, ul)')].map((list) => { const { paddingRight, paddingLeft } = getComputedStyle(list); return [parseFloat(paddingRight), parseFloat(paddingLeft)]; })",
    );
    expect(padded[0]?.[0]).toBeGreaterThan(10);
    expect(padded[1]?.[1]).toBeGreaterThan(10);
  });

  test("in a wide table that the keyboard reaches, within the window", async () => {
    const page = await browsing.open(`${origin}/conversation/${talk}`, { viewport: { width: 390, height: 800 } });
    const table = page.locator("article[data-turn='3'] table");
    await table.focus();
    expect(await page.evaluate<string>("document.activeElement.localName")).toBe("table");
    expect(await page.evaluate<boolean>("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
  });

  test("and its calls name their tools as the conversation does", async () => {
    const page = await browsing.open(`${origin}/calls`);
    await page.locator("tr:has(.calls-time)").getByText("files · read").waitFor();
    await page.getByRole("navigation").getByText("files · read").waitFor();
  });
});
