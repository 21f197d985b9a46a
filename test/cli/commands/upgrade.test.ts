import { expect, test } from "bun:test";
import { upgrade } from "../../../src/cli/commands/upgrade.ts";

async function told(flags: Record<string, boolean>): Promise<{ code: number; text: string }> {
  let text = "";
  const print = (more: string) => void (text += more);
  const stopping = new AbortController().signal;
  const rest = { operands: [], rest: undefined, env: {}, typed: String, stopping };
  const code = await upgrade.run({ flags, version: "1.2.3", print, ...rest });
  return { code, text };
}

test("a program that was built from source asks nobody, and says how to build the newest", async () => {
  expect(await told({})).toEqual({
    code: 0,
    text: "Dewey 1.2.3 was built from source, so there is no release to compare it with. For the newest source:\n  git pull && bun run build\n",
  });
  const { code, text } = await told({ check: true, json: true });
  expect(code).toBe(0);
  expect(JSON.parse(text)).toEqual({
    version: "1.2.3",
    newest: null,
    newer: false,
    installed: "source",
    remedy: "git pull && bun run build",
  });
});
