import { describe, expect, test } from "bun:test";
import { browserPath, fileBrowser } from "../support/browser.ts";
import { testListener } from "../support/listener.ts";
import { emptyDatabase, engines, testStore } from "../support/postgres.ts";
import { prompt, storeTalk } from "../support/talks.ts";

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");
/** As the browser reports connections and requests that fail while the server is away. */
const CONNECTION_FAILED = /WebSocket connection to .* failed|Failed to load resource: net::ERR_/;

describe.skipIf(browserPath === null)("while the server is away", () => {
  const browsing = fileBrowser();

  test("what was read stays, and the page goes on where it was once the server is back", async () => {
    const connection = await emptyDatabase(engine);
    let served = await testListener(engine, { store: { connection } });
    const { port } = served.listener;
    const id = await storeTalk(served.store, { title: "Steady", said: [prompt("It stays"), prompt("here")] });
    const page = await browsing.open(`http://127.0.0.1:${port}/conversation/${id}?turn=2`);
    await page.locator("article[data-turn='2']").waitFor();

    await served[Symbol.asyncDispose]();
    await page.getByText("The server is away").waitFor();
    expect(await page.locator("article[data-turn='1']").textContent()).toContain("It stays");
    await page.getByRole("button", { name: "Star" }).click();
    await page.getByText("try again once it is back").waitFor();
    // A view that is opened meanwhile waits for the server, too.
    await page.getByRole("link", { name: "Conversations" }).click();

    served = await testListener(engine, { store: { connection }, listener: { port } });
    await page.locator(".list-row", { hasText: "Steady" }).waitFor();
    await page.getByText("The server is away").waitFor({ state: "detached" });
    await page.goBack();
    await page.locator("article[data-turn='2'][data-current]").waitFor();
    await served[Symbol.asyncDispose]();
    browsing.pardon(CONNECTION_FAILED);
  });

  test("a conversation has what was stored meanwhile, once the server is back", async () => {
    const connection = await emptyDatabase(engine);
    const first = await testListener(engine, { store: { connection } });
    const { port } = first.listener;
    const id = await storeTalk(first.store, { title: "Growing", said: [prompt("It grows")] });
    const page = await browsing.open(`http://127.0.0.1:${port}/conversation/${id}`);
    await page.locator("article[data-turn='1']").waitFor();
    await first[Symbol.asyncDispose]();
    await page.getByText("The server is away").waitFor();
    const store = await testStore(engine, { connection });
    await store.messages.store({ conversation_id: id, role: "user", content: "and grows" });
    await store.close();
    await using _ = await testListener(engine, { store: { connection }, listener: { port } });
    await page.locator("article[data-turn='2']").getByText("and grows").waitFor();
    browsing.pardon(CONNECTION_FAILED);
  });
});
