import { describe, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { health } from "../../src/cli/commands/health.ts";
import { ensureLocalServer } from "../../src/cli/local-server.ts";
import { quiet } from "../support/quiet.ts";

/** The message with which something fails. */
async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it did not fail");
}

describe("a server's address with a password is shown without it", () => {
  test("by dewey health", async () => {
    const stopping = new AbortController().signal;
    const env = { DEWEY_URL: "ws://user:hidden@localhost:1" };
    const rest = { flags: {}, operands: [], rest: undefined, version: "0", print: () => {}, typed: String };
    const run = health.run({ env, stopping, ...rest });
    expect(await failure(run)).toBe("nothing answers at ws://localhost:1/; start a server with: dewey serve");
  });

  test("by commands that would start a server", async () => {
    const options = { token: undefined, dataDir: tmpdir(), env: {}, log: quiet };
    expect(await failure(ensureLocalServer({ ...options, url: "ws://user:hidden@server.invalid:1" }))).toBe(
      "no Dewey server answers at ws://server.invalid:1/; start one there, or correct DEWEY_URL",
    );
  });
});
