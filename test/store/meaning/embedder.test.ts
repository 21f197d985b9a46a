import { describe, expect, test } from "bun:test";
import { hold } from "../../../src/store/meaning/models.ts";
import { TestEndpoint } from "../../support/embeddings-endpoint.ts";
import type { Behaviour } from "../../support/embeddings-endpoint.ts";
import { embeddedTwice, foundBy, isEmbedded, meaningStore } from "../../support/meaning.ts";
import type { MeaningStore } from "../../support/meaning.ts";
import { engines } from "../../support/postgres.ts";
import { until } from "../../support/rpc.ts";

const user = (content: string) => ({ role: "user", content });
const many = (count: number, what = "the automobile") =>
  Array.from({ length: count }, (_, n) => user(`${what} number ${n} stands in the yard`));

/** Runs the background work until the block ends. */
function keeping({ meaning }: MeaningStore): AsyncDisposable & { stop(): Promise<void> } {
  const stopping = new AbortController();
  const kept = meaning.keep(stopping.signal);
  const stop = async () => {
    stopping.abort();
    await kept;
  };
  return { stop, [Symbol.asyncDispose]: stop };
}

async function passages({ sql }: MeaningStore): Promise<number> {
  const [row]: { count: number }[] = await sql`select count(*)::integer as count from dewey_meaning_passages`;
  return row?.count ?? 0;
}

const wholly = ({ sql }: MeaningStore, model = "test-embed") =>
  until("every message has its vectors", () => isEmbedded(sql, model));

for (const engine of engines) {
  describe(`embedding on ${engine.name}`, () => {
    test("takes the newest first, and what a person, an agent or a tool said, but no bookkeeping", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      const at = (day: number) => `2026-01-${10 + day}T00:00:00Z`;
      const messages = Array.from({ length: 20 }, (_, n) => ({ ...user(`day ${n}`), created_at: at(n) }));
      await it.store.messages.storeBulk({
        messages: [
          ...messages,
          { role: "system", content: "you are helpful", created_at: at(0) },
          { role: "tool", content: `printed ${"x ".repeat(9000)}`, created_at: at(0) },
          { role: "assistant", content: "[queue]", metadata: { bookkeeping: true }, created_at: at(0) },
          { role: "assistant", content: "  ", created_at: at(0) },
        ],
      });
      await it.embed();
      const [probe, ...texts] = endpoint.texts;
      expect(probe).toBe("dewey");
      expect(texts.slice(0, 8).toSorted()).toEqual(Array.from({ length: 8 }, (_, n) => `day ${19 - n}`).toSorted());
      expect(texts.filter((text) => text.startsWith("day")).toSorted()).toEqual(
        messages.map(({ content }) => content).toSorted(),
      );
      expect(texts.some((text) => /helpful|queue/.test(text))).toBe(false);
      const printed = texts.filter((text) => text.includes("x x")).join("");
      expect(printed.length).toBeGreaterThan(7900);
      expect(printed.length).toBeLessThan(10_000);
    });

    test("embeds what is stored later, also with an earlier time", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      await using _ = keeping(it);
      await it.store.messages.storeBulk({ messages: many(5) });
      await wholly(it);
      await it.store.messages.storeBulk({
        messages: [{ ...user("a physician came"), created_at: "2001-01-01T00:00:00Z" }],
      });
      await until("the message is found", async () =>
        (await it.find("some doctor")).results.some((hit) => hit.content === "a physician came"),
      );
      expect(foundBy(await it.find("some doctor"))[0]).toEqual(["a physician came", "meaning"]);
    });

    test("what is stored later does not wait for what lies long", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      const old = many(3000, "an old message");
      for (let at = 0; at < old.length; at += 500)
        await it.store.messages.storeBulk({ messages: old.slice(at, at + 500) });
      // So slow that its requests stay small: the old ones take a minute.
      endpoint.delayMs = 300;
      await using running = keeping(it);
      await until("the old ones are under way", async () => (await passages(it)) > 0);
      await it.store.messages.storeBulk({ messages: [user("a new automobile")] });
      await until("the new one is embedded", () => endpoint.texts.includes("a new automobile"));
      expect((await it.sql`select from dewey_meaning_queue limit 1000`).length).toBe(1000);
      await running.stop();
    });

    test("writes nothing while another server embeds", async () => {
      await using endpoint = new TestEndpoint();
      await using one = await meaningStore(engine, endpoint);
      await one.store.messages.storeBulk({ messages: many(3) });
      const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
      expect(await hold(one.sql, first)).toBe("newly");
      const row = () => one.sql`select xmin::text, xmax::text, ctid::text from dewey_meaning`;
      const before: unknown[] = await row();
      expect(await hold(one.sql, second)).toBe("elsewhere");
      expect([...(await row())]).toEqual([...before]);
      await one.sql`update dewey_meaning set held_until = now() - interval '1 second'`;
      expect(await hold(one.sql, second)).toBe("newly");
      expect(await hold(one.sql, second)).toBe("again");
    });

    test("writes nothing while there is nothing to do", async () => {
      await using endpoint = new TestEndpoint();
      await using it = await meaningStore(engine, endpoint);
      await using running = keeping(it);
      await it.store.messages.storeBulk({ messages: many(3) });
      await wholly(it);
      const transaction = async () => {
        const [row]: { next: string }[] = await it.sql`select pg_snapshot_xmax(pg_current_snapshot())::text as next`;
        return row?.next;
      };
      let before = await transaction();
      // The last steps may still be under way.
      await until("it has settled", async () => {
        const now = await transaction();
        const hasSettled = now === before;
        before = now;
        if (!hasSettled) await Bun.sleep(1500);
        return hasSettled;
      });
      const requests = endpoint.requests.length;
      await Bun.sleep(2500);
      expect(await transaction()).toBe(before);
      expect(endpoint.requests.length).toBe(requests);
      await running.stop();
    });

    test("another model is embedded beside the first, which answers until the second is complete", async () => {
      await using endpoint = new TestEndpoint();
      await using first = await meaningStore(engine, endpoint);
      await first.store.messages.storeBulk({ messages: many(30) });
      await first.embed();
      await using second = await meaningStore(engine, endpoint, { connection: first.connection, model: "larger" });
      endpoint.dimensions = 320;
      endpoint.delayMs = 300;
      await using _ = keeping(second);
      await until("the second is under way", () => endpoint.requests.some(({ model }) => model === "larger"));
      await second.meaning.look();
      expect(second.meaning.state()).toMatchObject({ model: "larger", asked: "test-embed", dimensions: 256 });
      endpoint.delayMs = 0;
      await wholly(second, "larger");
      await until("queries have changed over", () => second.meaning.state().complete);
      expect(second.meaning.state()).toMatchObject({ dimensions: 320, queued: 0 });
      expect((await second.find("which car is it")).results[0]?.found_by).toBe("meaning");
      expect(endpoint.requests.at(-1)?.model).toBe("larger");
      expect(await passages(second)).toBe(30);
    });
  });
}

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

describe("an endpoint that fails", () => {
  const failures: Behaviour[] = [
    "busy",
    "drop",
    "nan",
    "zeros",
    "short",
    "few",
    "noJson",
    "redirect",
    "refuse",
    "unauthorized",
  ];
  test.each(failures)("with %s costs no message its vectors", async (behaviour) => {
    await using endpoint = new TestEndpoint();
    await using it = await meaningStore(engine, endpoint);
    await it.store.messages.storeBulk({ messages: many(40) });
    // The probe, and the first texts.
    endpoint.answersFirst = 2;
    endpoint.behaviour = behaviour;
    await using _ = keeping(it);
    await until("it has failed", () => it.meaning.state().endpoint === "away");
    expect(it.meaning.state().reason).toBeString();
    expect(foundBy(await it.find("the automobile number 7"))[0]?.[0]).toStartWith("the automobile");
    endpoint.behaviour = "answer";
    await wholly(it);
    expect([await passages(it), await embeddedTwice(it.sql)]).toEqual([40, 0]);
    expect(it.meaning.state().embedded.refused).toBe(0);
  });

  test("by refusing one text does not stop the others, and the text is tried shorter", async () => {
    await using endpoint = new TestEndpoint();
    await using it = await meaningStore(engine, endpoint);
    await it.store.messages.storeBulk({
      messages: [...many(10), user(`a long automobile ${"very long ".repeat(30)}`), user("never this one")],
    });
    endpoint.refuses = (text) => text.length > 150 || text === "never this one".slice(0, text.length);
    await using _ = keeping(it);
    await until("all but one are embedded", async () => (await passages(it)) === 11);
    await until("the queue is empty", async () => (await it.sql`select from dewey_meaning_queue`).length === 0);
    expect(it.meaning.state().embedded.refused).toBe(1);
  });

  test("may fail over a text: it is cut, then passed over, and all others are embedded", async () => {
    await using endpoint = new TestEndpoint();
    await using it = await meaningStore(engine, endpoint);
    // The newest is embedded first: it must not be in the way of the others.
    await it.store.messages.storeBulk({
      messages: [...many(10), user(`a long automobile ${"very long ".repeat(30)}`), user("never this one")],
    });
    endpoint.failsOver = (text) => text.length > 150 || text === "never this one".slice(0, text.length);
    await using _ = keeping(it);
    await until("all but one are embedded", async () => (await passages(it)) === 11);
    await until("the queue is empty", async () => (await it.sql`select from dewey_meaning_queue`).length === 0);
    expect(it.meaning.state().embedded.refused).toBe(1);
  });

  test("asks to be left alone, and is", async () => {
    await using endpoint = new TestEndpoint();
    await using it = await meaningStore(engine, endpoint);
    await it.store.messages.storeBulk({ messages: many(10) });
    endpoint.behaviour = "busy";
    endpoint.retryAfter = "600";
    await using _ = keeping(it);
    await until("it has failed", () => it.meaning.state().endpoint === "away");
    const asked = endpoint.requests.length;
    await Bun.sleep(2500);
    expect(endpoint.requests.length).toBe(asked);
  });
});

describe("several servers", () => {
  test("embed each message once, and another goes on where one dies", async () => {
    await using endpoint = new TestEndpoint();
    await using one = await meaningStore(engine, endpoint);
    await using two = await meaningStore(engine, endpoint, { connection: one.connection });
    await one.store.messages.storeBulk({ messages: many(300) });
    endpoint.delayMs = 30;
    const first = keeping(one);
    await using _ = keeping(two);
    await until("some are embedded", async () => (await passages(one)) > 0);
    expect([one.meaning.state().embedding, two.meaning.state().embedding].filter(Boolean)).toHaveLength(1);
    // Stopped in the middle: it lets the other go on at once.
    await first.stop();
    await wholly(two);
    expect([await passages(two), await embeddedTwice(two.sql)]).toEqual([300, 0]);
    await one.meaning.look();
    expect(foundBy(await one.find("any car", { limit: 1 }))[0]?.[1]).toBe("meaning");
  });
});
