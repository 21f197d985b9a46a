import { parseArgs } from "node:util";
import type { SQL } from "bun";
import { chromium } from "playwright-core";
import type { Page } from "playwright-core";
import { ToolClient } from "../../src/tool-client.ts";
import { startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { connect } from "../support/postgres.ts";
import { embeddedConnection } from "./support/dewey.ts";
import { startClock, typeLetter, whenSeen } from "./support/page-clock.ts";
import { makeQueries } from "./speed-queries.ts";
import { loadTalk } from "./talk-database.ts";

// `bun run bench:page`: how long a person waits for the page, in Chromium against the compiled binary over 100,000 generated
// messages. Fails when a bar is missed. `--messages N` sets the number of messages, `--data FOLDER` keeps the database there for
// another run.

const ROUNDS = 10;
/** Queries of each kind that are typed, letter by letter. */
const TYPED = 4;
/** Letters of a query that are typed; a person reads hits before the seventh word. */
const MOST_LETTERS = 30;
const MOST_DEEP_LINK_MS = 300;
const MOST_SEARCH_MS = 150;
const MOST_LIVE_MS = 1000;
const HOUR_MS = 3_600_000;

const { values: options } = parseArgs({
  options: { messages: { type: "string", default: "100000" }, data: { type: "string" } },
});
const messages = Number(options.messages);
using folder = options.data === undefined ? temporaryHome() : undefined;
const home = options.data ?? folder?.path ?? "";

const { running, url } = await startServe(home);
await using _ = running;
await using sql = connect(embeddedConnection(home));
await fill(sql);
const origin = url.replace("ws:", "http:").replace(/\/$/, "");
const browser = await chromium.launch({ executablePath: Bun.which("chromium") ?? "", args: ["--no-sandbox"] });
let isMissed = false;
try {
  const links = await deepLinks(sql);
  await opened("home", "/", ".chart", ".count", ".safe, .health-line");
  await opened("list", "/conversations", ".list-row", ".facet-count");
  await deepLink(links);
  await deepLinkWithin(links);
  await search();
  await live(links[0]?.id ?? "");
} finally {
  await browser.close();
}
if (isMissed) process.exitCode = 1;

/** Prints the median and the 95th percentile, and whether the bar holds. */
function tell(what: string, times: number[], mostMs?: number): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
  const isMet = mostMs === undefined || at(0.95) <= mostMs;
  isMissed ||= !isMet;
  const bar = mostMs === undefined ? "" : `${isMet ? "met" : "NOT MET"}: at most ${mostMs}`;
  console.log(`${what.padEnd(44)} ${at(0.5).toFixed(0).padStart(6)} ${at(0.95).toFixed(0).padStart(6)} ms  ${bar}`);
}

async function withPage<Value>(work: (page: Page) => Promise<Value>): Promise<Value> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await startClock(page);
  try {
    return await work(page);
  } finally {
    await context.close();
  }
}

/** A view that is opened by its address, in a browser that knows nothing of the page, until all of these are seen. */
async function opened(what: string, path: string, ...selectors: string[]): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1)
    times.push(
      await withPage(async (page) => {
        await page.goto(origin + path, { waitUntil: "commit" });
        const all = await Promise.all(selectors.map((each) => whenSeen(page, each)));
        return Math.max(...all.map(({ ms }) => ms));
      }),
    );
  tell(`${what}, opened by its address`, times);
}

interface Link {
  id: string;
  turn: number;
}

/** Turns deep in the longest conversations. */
async function deepLinks(sql: SQL): Promise<Link[]> {
  return sql`select id, greatest(1, last_turn * 7 / 10)::integer as turn from conversations
    where deleted_at is null order by last_turn desc, id limit ${ROUNDS}`;
}

async function deepLink(links: Link[]): Promise<void> {
  const times: number[] = [];
  for (const { id, turn } of links)
    times.push(
      await withPage(async (page) => {
        await page.goto(`${origin}/conversation/${id}?turn=${turn}`, { waitUntil: "commit" });
        return (await whenSeen(page, `article[data-turn='${turn}'][data-current]`)).ms;
      }),
    );
  tell("deep link, opened by its address", times, MOST_DEEP_LINK_MS);
}

/** The same on a page that is open, as from a hit. */
async function deepLinkWithin(links: Link[]): Promise<void> {
  const times = await withPage(async (page) => {
    await page.goto(`${origin}/context`);
    const taken: number[] = [];
    for (const { id, turn } of links) {
      const begun = await page.evaluate<number>(
        `history.pushState(null, "", "/conversation/${id}?turn=${turn}"), dispatchEvent(new PopStateEvent("popstate")), performance.now()`,
      );
      taken.push((await whenSeen(page, `article[data-turn='${turn}'][data-current]`)).ms - begun);
    }
    return taken;
  });
  tell("deep link, on a page that is open", times, MOST_DEEP_LINK_MS);
}

/** Every letter of the queries; each waits for the hits of the one before. */
async function search(): Promise<void> {
  const queries = (await makeQueries(sql, TYPED)).filter(({ kind }) => kind !== "filtered");
  const times = await withPage(async (page) => {
    const taken: number[] = [];
    for (const { text } of queries) {
      await page.goto(`${origin}/search`);
      await page.waitForSelector("[data-search]:focus");
      for (const letter of text.slice(0, MOST_LETTERS).trim()) {
        if (letter === " ") await page.keyboard.type(letter);
        else taken.push(await typeLetter(page, letter));
      }
    }
    return taken;
  });
  tell(`search, from a letter to its hits (${times.length})`, times, messages <= 100_000 ? MOST_SEARCH_MS : undefined);
}

/** From the answer that a message is stored to the frame that shows it. */
async function live(conversation_id: string): Promise<void> {
  const client = new ToolClient({ url });
  const times = await withPage(async (page) => {
    await page.goto(`${origin}/live`);
    await page.waitForSelector(".live-item");
    const taken: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const stored = { conversation_id, role: "user", content: `[round-${round}](https://round.test/${round})` };
      await client.call("dewey_store_message", stored);
      const answeredAt = Date.now();
      const { at } = await whenSeen(page, `.live-item a[href='https://round.test/${round}']`);
      taken.push(Math.max(0, at - answeredAt));
    }
    return taken;
  });
  await client.close();
  tell("live, from a commit to its turn", times, MOST_LIVE_MS);
}

/** Generated talk that ends now, held by a few programs in many folders. */
async function fill(sql: SQL): Promise<void> {
  const [known] = await sql`select exists (select from messages) as filled`;
  if (known.filled) return;
  await loadTalk(sql, messages, Date.now() - HOUR_MS);
  await sql.unsafe(`update conversations c set
      title = 'Conversation ' || n, title_source = 'client', folder = '/home/ana/project' || n % 200,
      client = (array['claude-code', 'codex', 'gemini', 'goose'])[1 + n % 4]
    from (select id, row_number() over (order by created_at) as n from conversations) as numbered
    where c.id = numbered.id`);
  for (const table of ["conversations", "conversation_titles", "messages"]) await sql.unsafe(`vacuum analyze ${table}`);
}
