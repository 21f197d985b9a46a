import { describe, expect, test } from "bun:test";
import { meaning } from "../../../src/cli/checks/meaning.ts";
import type { Invocation } from "../../../src/cli/command.ts";
import { TestEndpoint } from "../../support/embeddings-endpoint.ts";
import { freePort } from "../../support/ports.ts";

function invocation(env: Record<string, string>): Invocation {
  const url = { DEWEY_URL: `ws://localhost:${freePort()}` };
  return { env: { ...url, ...env }, flags: {}, operands: [], version: "1.2.3" } as unknown as Invocation;
}

const settings = ({ url }: Pick<TestEndpoint, "url">) => ({
  DEWEY_EMBEDDINGS_URL: url,
  DEWEY_EMBEDDINGS_MODEL: "test-embed",
});

describe("the check of search by meaning", () => {
  test("asks the endpoint itself while no server runs", async () => {
    await using endpoint = new TestEndpoint();
    expect(await meaning(invocation(settings(endpoint)))).toEqual({
      state: "ok",
      text: "test-embed answers with 256 dimensions",
    });
    endpoint.behaviour = "unauthorized";
    const finding = await meaning(invocation({ ...settings(endpoint), DEWEY_EMBEDDINGS_KEY: "secret-key" }));
    expect(finding).toMatchObject({ state: "fault", text: expect.stringContaining("DEWEY_EMBEDDINGS_KEY") });
    expect(JSON.stringify(finding)).not.toContain("secret-key");
  });

  test("tells what the server says, and that texts leave the machine", async () => {
    const told: Record<string, unknown> = { endpoint: "ok", remote: false, model: "m", passages: 12, queued: 3 };
    using server = Bun.serve({ port: 0, fetch: () => Response.json({ database: {}, search: {}, meaning: told }) });
    const env = { DEWEY_URL: `ws://localhost:${server.port}` };
    expect(await meaning(invocation(env))).toEqual({
      state: "ok",
      text: "m, 12 passages; 3 messages still lack vectors",
    });
    told["queued_is_lower_bound"] = true;
    expect((await meaning(invocation(env))).text).toEndWith("; at least 3 messages still lack vectors");
    told["remote"] = true;
    const elsewhere = { DEWEY_EMBEDDINGS_URL: "https://api.example.org/v1", DEWEY_EMBEDDINGS_MODEL: "m" };
    expect((await meaning(invocation({ ...env, ...elsewhere }))).text).toEndWith(
      "texts are sent to api.example.org, beyond this machine",
    );
    told["endpoint"] = "away";
    told["reason"] = "it does not answer";
    expect(await meaning(invocation(env))).toMatchObject({
      state: "fault",
      text: "words alone are searched: the embeddings endpoint: it does not answer",
    });
  });

  test("names a server that was started without these settings", async () => {
    using server = Bun.serve({ port: 0, fetch: () => Response.json({ database: {}, search: {} }) });
    const env = { DEWEY_URL: `ws://localhost:${server.port}`, ...settings({ url: "http://127.0.0.1:9/v1" }) };
    expect(await meaning(invocation(env))).toMatchObject({ state: "fault", remedy: "restart it with these settings" });
  });

  // Only one program listens on Ollama's port; a machine with one runs the same check on that.
  test("prints the lines that switch it on, where a program of this machine could serve it", async () => {
    await using endpoint = await new Promise<TestEndpoint | undefined>((resolve) => {
      try {
        resolve(new TestEndpoint(11_434));
      } catch {
        resolve(undefined);
      }
    });
    const { state, text, lines } = await meaning(invocation({}));
    expect([state, lines?.[0]]).toEqual(["note", "DEWEY_EMBEDDINGS_URL=http://localhost:11434/v1"]);
    expect(text).toStartWith("off; Ollama runs on this machine");
    if (endpoint) expect(lines?.[1]).toBe("DEWEY_EMBEDDINGS_MODEL=test-embed");
  });
});
