import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { html, jsonl, markdown } from "../../src/capture/export.ts";
import { createRedactor } from "../../src/store/redact/redact.ts";
import { Workshop } from "../../src/store/workshop/workshop.ts";
import { browserPath, fileBrowser } from "../support/browser.ts";
import { failingTools } from "../support/failing-tools.ts";
import { testListener } from "../support/listener.ts";
import { engines } from "../support/postgres.ts";
import { quiet } from "../support/quiet.ts";
import { until } from "../support/rpc.ts";
import { answer, prompt, storeTalk } from "../support/talks.ts";

// The views of the whole store: what is kept, calls, contexts, and what is shared.

const DAY_MS = 86_400_000;
const sharing = { formats: { html, markdown, json: jsonl }, workshop: new Workshop(createRedactor(), quiet) };

interface Given {
  tool: string;
  with: Record<string, unknown>;
  gives: string;
  ms: number;
  outcome?: string;
}

/** The two messages that the recorder stores of a call. */
function recorded({ tool, with: given, gives, ms, outcome = "success" }: Given, index: number, beginMs: number) {
  const facts = { source: "proxy", upstream: "orders", method: "tools/call", tool, id: index };
  const at = (time: number) => new Date(time).toISOString();
  const content = [tool, ...Object.entries(given).map(([name, value]) => `${name}: ${String(value)}`)].join("\n");
  return [
    { role: "user", content, created_at: at(beginMs), metadata: { ...facts, arguments: given } },
    { role: "tool", content: gives, created_at: at(beginMs + ms), metadata: { ...facts, outcome, duration_ms: ms } },
  ];
}

describe.skipIf(browserPath === null)("on the page", () => {
  const browsing = fileBrowser();
  let served: Awaited<ReturnType<typeof testListener>>;
  let origin: string;
  let talk: string;
  let session: string;

  beforeAll(async () => {
    const [engine] = engines;
    if (!engine) throw new Error("there is no PostgreSQL");
    served = await testListener(engine, { listener: { sharing } });
    origin = new URL(served.httpUrl).origin;
    const { store } = served;
    talk = await storeTalk(store, {
      title: "Share me",
      folder: "/home/ada/bakery",
      said: [prompt("first turn"), answer("second turn"), prompt("third turn")],
    });
    const old = await store.conversations.begin({ metadata: { source: "claude-code", title: "Long ago" } });
    await store.messages.storeBulk({
      conversation_id: old.conversation_id,
      messages: [{ role: "user", content: "old", created_at: new Date(Date.now() - 40 * DAY_MS).toISOString() }],
    });
    ({ conversation_id: session } = await store.conversations.begin({
      metadata: { source: "proxy", upstream: "orders", client_name: "inspector" },
    }));
    const calls: Given[] = [
      { tool: "get_order", with: { id: 1 }, gives: '{"id":1,"total":5}', ms: 40 },
      { tool: "get_order", with: { id: 2 }, gives: '{"id":2,"total":9}', ms: 60 },
      {
        tool: "print",
        with: { order: 1 },
        gives: "<img src=x onerror=document.title='hacked'>",
        ms: 900,
        outcome: "error",
      },
    ];
    const beginMs = Date.now() - 60_000;
    await store.messages.storeBulk({
      conversation_id: session,
      messages: calls.flatMap((call, index) => recorded(call, index, beginMs + index * 2000)),
    });
  });
  afterAll(() => served[Symbol.asyncDispose]());

  describe("home", () => {
    test("tells what is kept, what is safe, what goes on, and how all parts are", async () => {
      const page = await browsing.open(`${origin}/`);
      await page.getByText("1 session is safe that Claude Code deletes within 30 days, and 1 older").waitFor();
      const amount = page.locator(".amount").filter({ hasText: "conversations" });
      expect(await amount.locator("dd").textContent()).toBe("3");
      await page.getByRole("img", { name: "2 sessions in the last 30 days" }).waitFor();
      await page.locator(".health-line").filter({ hasText: "Recorder of MCP calls" }).getByText("1 session").waitFor();
      await page.locator(".health-line").filter({ hasText: "Server" }).getByText("well").waitFor();
      await page.getByRole("link", { name: "Share me" }).waitFor();
      await page.getByRole("link", { name: /^bakery/ }).click();
      await page.locator(".list-row").filter({ hasText: "Share me" }).waitFor();
      expect(new URL(page.url()).searchParams.get("folder")).toBe("/home/ada/bakery");
    });

    test("keeps what goes on while it asks for the next minute", async () => {
      const page = await browsing.open("about:blank");
      const failing = await failingTools(page);
      await page.clock.install();
      await page.goto(`${origin}/`);
      const now = page.locator(".panel").filter({ hasText: "Going on now" });
      await now.getByRole("link", { name: "Share me" }).waitFor();
      const minute = { isAsked: false };
      failing.holds = ({ name, arguments: { start_date, client } }) => {
        if (name !== "dewey_list_conversations" || client !== undefined || start_date === undefined) return false;
        minute.isAsked = true;
        return true;
      };
      await page.clock.fastForward(61_000);
      await page.clock.resume();
      await until("the next minute's question", () => minute.isAsked);
      expect(await now.getByRole("link", { name: "Share me" }).count()).toBe(1);
    });
  });

  describe("calls", () => {
    test("are listed with their outcome and duration, and narrowed by the address", async () => {
      const page = await browsing.open(`${origin}/calls`);
      await page.getByText("3 calls, 1 failed").waitFor();
      const rows = page.locator(".calls tbody tr:has(.calls-bar)");
      expect(await rows.allTextContents()).toEqual([
        expect.stringMatching(/printorderserror900 ms/),
        expect.stringMatching(/get_orderorderssuccess60 ms/),
        expect.stringMatching(/get_orderorderssuccess40 ms/),
      ]);
      await page.getByRole("link", { name: "Failed only" }).click();
      await page.getByText("1 call, 1 failed").waitFor();
      await page.goBack();
      await page.getByText("3 calls, 1 failed").waitFor();
      await page.getByRole("link", { name: "Longest" }).click();
      expect(await rows.first().textContent()).toContain("900 ms");
      await page.getByText("Percentiles by tool").click();
      const stats = page.locator(".tool-stats tbody tr").filter({ hasText: "get_order" });
      expect(await stats.textContent()).toBe("get_order2040 ms60 ms");
    });

    test("show errors first when asked to, wherever they happened", async () => {
      await served.store.messages.storeBulk({
        conversation_id: session,
        messages: recorded({ tool: "late", with: {}, gives: "ok", ms: 5 }, 9, Date.now()),
      });
      const page = await browsing.open(`${origin}/calls?order=errors`);
      const rows = page.locator(".calls tbody tr:has(.calls-bar)");
      await rows.first().waitFor();
      expect(await rows.first().textContent()).toContain("print");
    });

    test("are stepped through by keys, past the folded percentiles", async () => {
      const page = await browsing.open(`${origin}/calls?upstream=orders`);
      const links = page.locator(".calls tbody tr:has(.calls-bar) .call-link");
      await links.first().waitFor();
      for (const key of ["j", "j", "k"]) await page.keyboard.press(key);
      expect(await links.first().evaluate((link) => link.matches(":focus"))).toBe(true);
      await page.keyboard.press("Enter");
      await page.getByRole("region", { name: "The call" }).waitFor();
    });

    test("open with arguments and result, in which nothing runs", async () => {
      const page = await browsing.open(`${origin}/calls?failed=1`);
      await page.locator(".calls tbody tr:has(.calls-bar) .call-link").first().click();
      const details = page.getByRole("region", { name: "The call" });
      await details.getByText("order").waitFor();
      await details.getByText("<img src=x onerror").waitFor();
      expect(await page.title()).toBe("Calls · Dewey");
      await page.reload();
      await details.getByText("<img src=x onerror").waitFor();
      await page.keyboard.press("Escape");
      await details.waitFor({ state: "detached" });
    });

    test("of one session stand in a waterfall, in their order", async () => {
      const page = await browsing.open(`${origin}/calls?session=${session}`);
      await page.getByRole("columnheader", { name: "Waterfall" }).waitFor();
      const starts = await page
        .locator(".calls tbody .calls-bar")
        .evaluateAll((bars) => bars.map((bar) => bar.getBoundingClientRect().left));
      expect(starts).toEqual(starts.toSorted((a, b) => a - b));
      expect(new Set(starts).size).toBe(starts.length);
    });

    test("are compared: what differs in arguments and results", async () => {
      const page = await browsing.open(`${origin}/calls?tool=get_order`);
      const link = page.locator(".calls tbody tr:has(.calls-bar) .call-link");
      await link.nth(1).click();
      await page.getByRole("link", { name: "Compare" }).click();
      await link.nth(0).click();
      await page.getByText("Duration: 40 ms and 60 ms").waitFor();
      const changed = page.locator(".call-details .diff-added, .call-details .diff-removed");
      await until("both differences", async () => (await changed.count()) === 6);
      expect((await changed.allTextContents()).join("\n")).toContain('"total": 9');
    });
  });

  describe("contexts", () => {
    test("are written, activated, changed with a history, tied to a folder, deleted and brought back", async () => {
      const page = await browsing.open(`${origin}/context`);
      const { contexts } = served.store;
      await page.getByRole("button", { name: "Write the first" }).click();
      await page.getByRole("textbox", { name: "Name of the new context" }).fill("house rules/2");
      await page.keyboard.press("Enter");
      const text = page.getByRole("textbox", { name: "What a session should know when it begins" });
      await text.fill("Be brief.");
      await page.getByRole("button", { name: "Save and activate" }).click();
      await page.locator(".head").getByText("active").waitFor();
      expect(await contexts.get({})).toMatchObject({ name: "house rules/2", content: "Be brief." });

      await text.fill("Be brief.\nBe kind.");
      await page.keyboard.press("Control+Enter");
      await page.locator(".versions .diff-added").filter({ hasText: "Be kind." }).waitFor();
      await page.getByText("2 changes, the latest first").waitFor();
      await page.locator(".version").last().click();
      await page.locator(".versions .diff-added").filter({ hasText: "Be brief." }).waitFor();

      await page.getByRole("button", { name: "Tie to a folder" }).click();
      await page.getByRole("textbox", { name: "The folder, as an absolute path" }).fill("/home/ada/bakery");
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Untie /home/ada/bakery" }).waitFor();
      expect(await contexts.get({ folder: "/home/ada/bakery/oven" })).toMatchObject({ name: "house rules/2" });

      await page.getByRole("button", { name: "Delete the context" }).click();
      await page.getByRole("button", { name: "Undo" }).click();
      await page.locator(".context-row").filter({ hasText: "house rules/2" }).waitFor();
      expect(await contexts.get({})).toMatchObject({ content: "Be brief.\nBe kind." });
    });

    test("keep what a person types in the moment in which the stored text arrives", async () => {
      const page = await browsing.open("about:blank");
      const tools = await failingTools(page);
      tools.holds = ({ name }) => name === "dewey_get_startup_context";
      await page.goto(`${origin}/context/moment`);
      const text = page.getByRole("textbox", { name: "What a session should know when it begins" });
      await text.fill("one");
      await page.keyboard.press("Control+Enter");
      const save = page.getByRole("button", { name: "Save", exact: true });
      await page.getByRole("button", { name: "Delete the context" }).waitFor();
      // Typed right after the view is drawn with the stored text: then the button to save it has nothing to do.
      await page.evaluate(`
        const save = [...document.querySelectorAll("button")].find((button) => button.textContent.trim() === "Save");
        const field = document.querySelector("textarea");
        const observer = new MutationObserver(() => {
          observer.disconnect();
          field.value = "one and two";
          field.dispatchEvent(new InputEvent("input", { bubbles: true }));
        });
        observer.observe(save, { attributes: true });
      `);
      tools.letGo();
      await until(
        "the typed text",
        async () => (await text.inputValue()) === "one and two" && (await save.isEnabled()),
      );
      await page.keyboard.press("Control+Enter");
      await page.locator(".versions .diff-added").filter({ hasText: "one and two" }).waitFor();
    });

    test("keep what a person is writing when somebody else changes them", async () => {
      const { contexts } = served.store;
      const author = { session: null, client_name: "other", client_version: null };
      await contexts.set({ name: "shared", content: "one", set_active: false }, author);
      const page = await browsing.open(`${origin}/context/shared`);
      const text = page.getByRole("textbox", { name: "What a session should know when it begins" });
      await text.fill("my own words");
      await contexts.set({ name: "shared", content: "two", set_active: false }, author);
      await page.getByRole("button", { name: "Tie to a folder" }).click();
      await page.getByRole("textbox", { name: "The folder, as an absolute path" }).fill("/elsewhere");
      await page.keyboard.press("Enter");
      await page.getByText("3 changes").waitFor();
      expect(await text.inputValue()).toBe("my own words");
    });
  });

  describe("sharing", () => {
    test("saves a range of turns as a page of its own, which shows them and runs nothing", async () => {
      const page = await browsing.open(`${origin}/conversation/${talk}`);
      await page.getByRole("feed").getByText("third turn").waitFor();
      await page.keyboard.press("S");
      await page.getByLabel("From turn").fill("2");
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("link", { name: "Save the file" }).click(),
      ]);
      expect(download.suggestedFilename()).toBe("share-me.html");
      const text = readFileSync(await download.path(), "utf8");
      expect(text).toContain("second turn");
      expect(text).toContain("third turn");
      expect(text).not.toContain("first turn");
      const saved = await browsing.open("about:blank");
      const asked: string[] = [];
      saved.on("request", (request) => asked.push(request.url()));
      await saved.setContent(text);
      await saved.getByText("second turn").waitFor();
      expect(asked).toEqual([]);
    });

    test("saves all of it as Markdown and as JSON lines", async () => {
      const page = await browsing.open(`${origin}/conversation/${talk}`);
      for (const [name, ending] of [
        ["Markdown", "md"],
        ["JSON lines", "jsonl"],
      ] as const) {
        await page.getByRole("feed").getByText("third turn").waitFor();
        await page.getByRole("button", { name: "Share" }).click();
        await page.getByLabel(name).check();
        const [download] = await Promise.all([
          page.waitForEvent("download"),
          page.getByRole("link", { name: "Save the file" }).click(),
        ]);
        expect(download.suggestedFilename()).toBe(`share-me.${ending}`);
        expect(readFileSync(await download.path(), "utf8")).toContain("first turn");
      }
    });
  });
});
