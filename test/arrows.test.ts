import { afterAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

// The linter holds the arrows between the parts, and the types of what comes from outside. A rule that matches nothing holds nothing, so each is seen to fail here.

const root = join(import.meta.dir, "..");
const folder = mkdtempSync(join(tmpdir(), "dewey-arrows-"));
copyFileSync(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The part that knows types is found by the path. */
const env = { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"]}` };

function lint(files: Record<string, string>, ...flags: string[]): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const paths = Object.keys(files);
  const { stdout } = Bun.spawnSync(["oxlint", ...flags, ...paths], { cwd: folder, env, stdout: "pipe" });
  for (const name of paths) rmSync(join(folder, name));
  return stdout.toString();
}

const importing = (path: string) => `import { x } from "${path}";\nexport const y = x;\n`;

describe("the linter refuses", () => {
  const planted: [string, string, string][] = [
    ["wire", "../store/store.ts", "wire knows JSON-RPC"],
    ["wire", "../config.ts", "wire knows JSON-RPC"],
    ["store", "../wire/frame.ts", "store knows PostgreSQL"],
    ["store", "@modelcontextprotocol/sdk/types.js", "store knows PostgreSQL"],
    ["tools", "../mcp/server.ts", "the only arrow out of tools"],
    ["mcp", "../proxy/proxy.ts", "mcp serves tools"],
    ["proxy", "../store/store.ts", "proxy reaches the store through the client"],
    ["capture", "../store/store.ts", "capture reaches the store through the client"],
    ["proxy/relay", "../spool/spool.ts", "it is handed a tap"],
    ["proxy/relay", "../delivery/record.ts", "it is handed a tap"],
    ["proxy/relay", "../../store/store.ts", "proxy reaches the store through the client"],
    ["proxy/spool", "../delivery/outbox.ts", "delivery reads it"],
    ["proxy/spool", "../../tool-client.ts", "delivery reads it"],
    ["store/database", "../search/search.ts", "store/database lies below"],
    ["store/database", "../store.ts", "store/database lies below"],
    ["store/database", "../../wire/frame.ts", "store knows PostgreSQL"],
    ["store/redact", "../database/database.ts", "store/redact lies below"],
    ["store/search", "../append/writer.ts", "store/search lies below"],
    ["store/append", "../messages.ts", "store/append lies below"],
    ["store/backup", "../engine/engine.ts", "store/backup lies below"],
    ["store/engine", "../append/append.ts", "store/engine lies below"],
    ["cli", "./commands/list.ts", "Only src/cli/commands.ts loads commands"],
    ["cli/checks", "../commands/hook.ts", "Only src/cli/commands.ts loads commands"],
    ["cli/commands", "./list.ts", "No command imports another"],
  ];
  for (const [part, path, reason] of planted) {
    test(`${path} in src/${part}`, () => {
      expect(lint({ [`src/${part}/planted.ts`]: importing(path) })).toContain(reason);
    });
  }

  test("a client that knows more than wires", () => {
    expect(lint({ "src/tool-client.ts": importing("./proxy/proxy.ts") })).toContain("the only arrow out of the client");
  });

  test("imports in a circle", () => {
    expect(lint({ "src/a.ts": importing("./b.ts"), "src/b.ts": importing("./a.ts") })).toContain("no-cycle");
  });

  test("a reader of the environment beside src/config.ts", () => {
    expect(lint({ "src/store/planted.ts": "export const y = process.env;\n" })).toContain("Only src/config.ts reads");
  });

  test("a row without a type", () => {
    const planted = [
      "export async function planted(query: () => Promise<ReturnType<typeof JSON.parse>>): Promise<string> {",
      "  const [row] = await query();",
      "  return String(row.name);",
      "}",
      "",
    ].join("\n");
    const found = lint({ "src/store/planted.ts": planted }, "--type-aware");
    expect(found).toContain("no-unsafe-assignment");
    expect(found).toContain("no-unsafe-member-access");
  });

  test("the end of the process anywhere but in src/main.ts", () => {
    expect(lint({ "src/main.ts": "process.exit(1);\n", "src/store/planted.ts": "process.exit(1);\n" })).toContain(
      "src/store/planted.ts",
    );
  });
});
