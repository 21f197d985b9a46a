import { describe, expect, test } from "bun:test";
import { embeddedConnection } from "../bench/support/dewey.ts";
import { run, startServe } from "../support/binary.ts";
import { TestEndpoint } from "../support/embeddings-endpoint.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { embeddedTwice, isEmbedded } from "../support/meaning.ts";
import { freePort } from "../support/ports.ts";
import { connect } from "../support/postgres.ts";
import { Rpc, until } from "../support/rpc.ts";

interface Hit {
  content: string;
  found_by?: string;
}

const settings = (url: string) => ({ DEWEY_EMBEDDINGS_URL: url, DEWEY_EMBEDDINGS_MODEL: "test-embed" });

describe("search by meaning", () => {
  test("from doctor's two lines to the first hit that no word finds", async () => {
    await using endpoint = new TestEndpoint(11_434);
    using home = temporaryHome();
    const env = { ...plainEnvironment(home.path), DEWEY_URL: `ws://localhost:${freePort()}` };
    const { stdout } = await run(["doctor"], env);
    const lines = stdout.split("\n").map((line) => line.trim());
    const copied = lines.filter((line) => line.startsWith("DEWEY_EMBEDDINGS_"));
    expect(copied).toEqual(["DEWEY_EMBEDDINGS_URL=http://localhost:11434/v1", "DEWEY_EMBEDDINGS_MODEL=test-embed"]);
    const given = Object.fromEntries(copied.map((line) => line.split("=") as [string, string]));
    const { running, url } = await startServe(home.path, given);
    const dewey = await Rpc.open(url);
    await dewey.initialize();
    await dewey.tool("dewey_store_messages_bulk", {
      messages: [{ role: "user", content: "the automobile would not start" }],
    });
    const found = await until("the message is found", async () => {
      const { results } = (await dewey.tool("dewey_search", { query: "trouble with my car" })) as { results: Hit[] };
      return results[0];
    });
    expect([found.content, found.found_by]).toEqual(["the automobile would not start", "meaning"]);
    const client = { ...plainEnvironment(home.path), DEWEY_URL: url };
    expect((await run(["search", "trouble", "with", "my", "car"], client)).stdout).toContain("by meaning");
    expect((await run(["search", "--mode", "words", "trouble", "with", "my", "car"], client)).stdout).toContain(
      "0 matches",
    );
    expect((await run(["stats"], client)).stdout).toContain("by meaning: 1 passage with test-embed");
    expect((await run(["doctor"], { ...client, ...given })).stdout).toMatch(/✓ meaning +test-embed, 1 passages/);
    dewey.close();
    await running.stop();
    expect(endpoint.texts).toContain("the automobile would not start");
  });

  test("a server that is killed while it embeds goes on where it stopped, and says nothing of texts or keys", async () => {
    await using endpoint = new TestEndpoint();
    endpoint.delayMs = 40;
    using home = temporaryHome();
    const env = { ...settings(endpoint.url), DEWEY_EMBEDDINGS_KEY: "secret-key" };
    const first = await startServe(home.path, env);
    const dewey = await Rpc.open(first.url);
    await dewey.initialize();
    const messages = Array.from({ length: 400 }, (_, n) => ({ role: "user", content: `the automobile number ${n}` }));
    await dewey.tool("dewey_store_messages_bulk", { messages });
    await until("some are embedded", () => endpoint.texts.length > 30);
    first.running.process.kill("SIGKILL");
    await first.running.process.exited;
    endpoint.behaviour = "unauthorized";
    const second = await startServe(home.path, env);
    await until("the endpoint has refused the key", () => second.running.stderr().includes("gives no vectors"));
    endpoint.behaviour = "answer";
    const sql = connect(embeddedConnection(home.path));
    await until("every message has its vectors", () => isEmbedded(sql, "test-embed"));
    const [kept]: { count: number }[] = await sql`select count(*)::integer as count from dewey_meaning_passages`;
    expect([kept?.count, await embeddedTwice(sql)]).toEqual([400, 0]);
    await sql.close();
    await second.running.stop();
    expect(second.running.stderr()).not.toMatch(/secret-key|automobile/);
  });
});
