import { beforeAll, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { browserPath, fileBrowser } from "../support/browser.ts";
import { fileListener } from "../support/listener.ts";
import { until } from "../support/rpc.ts";
import { answer, prompt, storeTalk } from "../support/talks.ts";

describe.skipIf(browserPath === null)("the live view", () => {
  const served = fileListener();
  const browsing = fileBrowser();
  let origin: string;
  let id: string;

  beforeAll(async () => {
    const { store, url } = served.listener;
    origin = url.replace("ws:", "http:").replace(/\/$/, "");
    const said = Array.from({ length: 30 }, (_, n) => [
      prompt(`question ${n}`),
      answer(`A long answer ${n}. `.repeat(60)),
    ]);
    id = await storeTalk(store, { title: "What goes on", said: said.flat() });
  });

  const store = (content: string, conversation_id = id) =>
    served.listener.store.messages.store({ conversation_id, role: "assistant", content, metadata: { kind: "answer" } });
  const feed = (page: Page) => page.getByRole("region", { name: "What is stored" });
  const fromEnd = (page: Page) =>
    feed(page).evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);

  test("shows a new turn within a second of its commit, and stays at the end", async () => {
    const page = await browsing.open(`${origin}/live`);
    await page.getByText("A long answer 29.").first().waitFor();
    const waits: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      await store(`fresh turn ${round}`);
      const committedMs = performance.now();
      await page.getByText(`fresh turn ${round}`, { exact: true }).waitFor();
      waits.push(performance.now() - committedMs);
    }
    // The median, since a busy machine may delay any one of them.
    expect(waits.toSorted((a, b) => a - b)[2]).toBeLessThan(1000);
    await until("the end", async () => (await fromEnd(page)) < 40);
  });

  test("stops following when one scrolls up, says how much is new, and follows again at a click", async () => {
    const page = await browsing.open(`${origin}/live?conversation=${id}`);
    await page.locator(".live-item").first().waitFor();
    await feed(page).hover();
    await page.mouse.wheel(0, -600);
    await until("the scroll", async () => (await fromEnd(page)) > 300);
    const place = await feed(page).evaluate((element) => element.scrollTop);
    for (const name of ["one", "two", "three"]) await store(`meanwhile ${name}`);
    await page.getByRole("button", { name: "3 new" }).waitFor();
    expect(await feed(page).evaluate((element) => element.scrollTop)).toBe(place);
    await page.getByRole("button", { name: "3 new" }).click();
    await page.getByRole("button", { name: /new$/ }).waitFor({ state: "detached" });
    expect(await fromEnd(page)).toBeLessThan(40);
    await store("followed again");
    await page.getByText("followed again", { exact: true }).waitFor();
  });

  test("tells conversations apart, follows one alone, and shows a new one with its title", async () => {
    const page = await browsing.open(`${origin}/live`);
    await page.locator(".live-item").first().waitFor();
    const other = await storeTalk(served.listener.store, {
      title: "Another one begins",
      said: [prompt("hello there")],
    });
    await page.getByRole("link", { name: "Another one begins" }).waitFor();
    await page.getByRole("link", { name: "follow only this" }).last().click();
    await page.getByText("one conversation").waitFor();
    expect(new URL(page.url()).searchParams.get("conversation")).toBe(other);
    await store("not for this view");
    await store("for this view", other);
    await page.getByText("for this view", { exact: true }).waitFor();
    expect(await page.getByText("not for this view").count()).toBe(0);
  });

  test("shows hostile turns as text", async () => {
    const page = await browsing.open(`${origin}/live`);
    await page.locator(".live-item").first().waitFor();
    const evil = await storeTalk(served.listener.store, {
      title: "<img src=x onerror=document.title='hacked'>",
      said: [answer("<script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">harmless")],
    });
    await page.getByText("harmless").waitFor();
    await store("\u001b]8;;javascript:alert(1)\u0007click\u202etxt.exe", evil);
    await page.getByText("txt.exe").waitFor();
    expect(await page.title()).toBe("Live · Dewey");
  });
});
