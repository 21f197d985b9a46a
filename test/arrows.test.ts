import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

// The linter enforces the arrows between the parts, and types for data from outside. A rule that matches nothing enforces
// nothing, so each is shown to fail here.

const root = join(import.meta.dir, "..");

const importing = (path: string) => `import { x } from "${path}";\nexport const y = x;\n`;

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
  ["page", "../store/store.ts", "only over MCP"],
  ["page/client", "../parts/time.tsx", "shows nothing"],
  ["page/client", "../views/list.tsx", "nothing from above"],
  ["page/parts", "../client/dewey.ts", "only views call tools"],
  ["page/parts", "../shell.tsx", "nothing from above"],
  ["page/views", "./list.tsx", "No view imports another"],
  ["page/views", "../../wire/frame.ts", "only over MCP"],
  ["cli", "./commands/list.ts", "Only src/cli/commands.ts loads commands"],
  ["cli/checks", "../commands/hook.ts", "Only src/cli/commands.ts loads commands"],
  ["cli/commands", "./list.ts", "No command imports another"],
];

const rowWithoutType = `export async function planted(query: () => Promise<ReturnType<typeof JSON.parse>>): Promise<string> {
  const [row] = await query();
  return String(row.name);
}
`;

interface Violation {
  name: string;
  files: Record<string, string>;
  /** The linter's complaint about the last of the files. */
  reason: string;
}

const violations: Violation[] = [
  ...planted.map(([part, path, reason]) => ({
    name: `${path} in src/${part}`,
    files: { [`src/${part}/planted.ts`]: importing(path) },
    reason,
  })),
  {
    name: "a client that knows more than wires",
    files: { "src/tool-client.ts": importing("./proxy/proxy.ts") },
    reason: "the only arrow out of the client",
  },
  {
    name: "imports in a circle",
    files: { "src/a.ts": importing("./b.ts"), "src/b.ts": importing("./a.ts") },
    reason: "no-cycle",
  },
  {
    name: "a reader of the environment beside src/config.ts",
    files: { "src/store/planted.ts": "export const y = process.env;\n" },
    reason: "Only src/config.ts reads",
  },
  ...["no-unsafe-assignment", "no-unsafe-member-access"].map((reason) => ({
    name: `a row without a type: ${reason}`,
    files: { "src/store/planted.ts": rowWithoutType },
    reason,
  })),
  {
    name: "the end of the process anywhere but in src/main.ts",
    files: { "src/store/planted.ts": "process.exit(1);\n" },
    reason: "no-process-exit",
  },
];

describe("the linter refuses", () => {
  const folder = mkdtempSync(join(tmpdir(), "dewey-arrows-"));
  let refusals: Map<string, string>;
  // One run for all: a separate run per violation took most of the time of the unit tests.
  beforeAll(() => {
    copyFileSync(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
    plant(folder);
    refusals = lint(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  for (const [index, { name, files, reason }] of violations.entries()) {
    test(name, () => {
      const last = Object.keys(files).at(-1);
      expect(refusals.get(`${index}/${last}`)).toContain(reason);
    });
  }

  test("no end of the process in src/main.ts", () => {
    expect(refusals.get("allowed/src/main.ts") ?? "").not.toContain("no-process-exit");
  });
});

/** Writes each violation into a separate folder, named by its number. */
function plant(folder: string): void {
  const all = violations.map(({ files }, index) => [`${index}`, files] as const);
  for (const [place, files] of [...all, ["allowed", { "src/main.ts": "process.exit(1);\n" }] as const]) {
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, place, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  }
}

/** The linter's complaints about each file that it refuses. */
function lint(folder: string): Map<string, string> {
  // The linter finds its type-aware part through PATH.
  const env = { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"]}` };
  const command = ["oxlint", "--type-aware", "--format", "json"];
  const { stdout } = Bun.spawnSync(command, { cwd: folder, env, stdout: "pipe" });
  const { diagnostics } = JSON.parse(stdout.toString()) as { diagnostics: Diagnostic[] };
  const refusals = new Map<string, string>();
  for (const { filename, code, message, help } of diagnostics)
    refusals.set(filename, `${refusals.get(filename) ?? ""}${code} ${message} ${help}\n`);
  return refusals;
}

interface Diagnostic {
  filename: string;
  code: string;
  message: string;
  help?: string;
}
