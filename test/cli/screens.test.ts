import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { startServe } from "../support/binary.ts";
import type { Running } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { freePort } from "../support/ports.ts";
import { Rpc } from "../support/rpc.ts";
import { binary } from "../support/binary.ts";
import { openTerminal, tmux } from "../support/tmux.ts";

// What a person sees at terminals of three widths, over an invented store, compared with golden files: `screens/COLUMNS.txt`.
// A change of what is printed shows as a difference there. `DEWEY_TEST_GOLDEN=write bun test ./test/cli/screens.test.ts`
// writes them anew, for a person to read.

const FOLDER = join(import.meta.dir, "screens");
const WIDTHS = [60, 80, 200];
const ROWS = 100;

const home = temporaryHome();
let server: Running;
let env: Record<string, string>;

const invented = [
  {
    conversation_id: "0a1b2c3d-0000-4000-8000-000000000001",
    metadata: {
      client_name: "claude-code",
      cwd: "/home/ana/shop",
      branch: "main",
      title: "Why the checkout retries for ever",
    },
    said: [
      ["user", "Why does the **checkout** retry without a backoff?", { kind: "prompt" }],
      ["assistant", "Let me look at the retry loop.", { kind: "answer" }],
      ["assistant", "rg retry src", { kind: "tool_use", tool: "Bash" }],
      ["tool", "src/pay.ts: no such file", { kind: "tool_result", tool: "Bash", outcome: "error", duration_ms: 12 }],
      [
        "assistant",
        "The loop has no delay: an exponential backoff with jitter is missing.\n\n- add `backoff`\n- test it",
        { kind: "answer" },
      ],
    ],
  },
  {
    conversation_id: "1a1b2c3d-0000-4000-8000-000000000002",
    metadata: {
      client_name: "codex",
      cwd: "/home/ana/a-project-with-a-rather-long-name",
      title: "日本語のテスト: a title that is long enough to be cut at a narrow terminal, and wide letters in it",
    },
    said: [["user", "Add a backoff to the uploads too.", { kind: "prompt" }]],
  },
  {
    conversation_id: "2a1b2c3d-0000-4000-8000-000000000003",
    metadata: { source: "proxy", upstream: "files" },
    said: [["user", "read_file\n{}", { source: "proxy", tool: "read_file" }]],
  },
] as const;

beforeAll(async () => {
  const { running, url } = await startServe(home.path);
  server = running;
  env = {
    ...plainEnvironment(home.path),
    DEWEY_URL: url,
    DEWEY_DATA_DIR: join(home.path, "data"),
    DEWEY_PROXY_PORT: `${freePort()}`,
    TZ: "UTC",
    PAGER: "",
  };
  const rpc = await Rpc.open(url);
  await rpc.initialize();
  for (const [number, { said, ...begin }] of invented.entries()) {
    const created_at = (turn: number) => `2024-03-0${5 - number}T10:00:0${turn}.000Z`;
    await rpc.tool("dewey_begin_conversation", { ...begin, created_at: created_at(0) });
    for (const [turn, [role, content, metadata]] of said.entries()) {
      const message = { conversation_id: begin.conversation_id, role, content, metadata, created_at: created_at(turn) };
      await rpc.tool("dewey_store_message", message);
    }
  }
  rpc.close();
});

afterAll(async () => {
  await server.stop();
  home[Symbol.dispose]();
});

const commands = [
  ["list"],
  ["search", "backoff"],
  ["search", "client:codx", "backoff"],
  ["show", "0a1b"],
  ["show", "9a1b"],
  ["status"],
  ["doctor"],
  ["help"],
  ["help", "search"],
];

/** The screen after each command, without what differs from machine to machine. */
async function screens(columns: number): Promise<string> {
  const parts: string[] = [];
  for (const command of commands) {
    using screen = openTerminal([binary, ...command], env, columns, ROWS);
    const text = await screen.until(/\[ended \d+\]/);
    parts.push(`$ dewey ${command.join(" ")}\n${steady(text).trimEnd()}\n`);
  }
  return parts.join("\n");
}

/** Replaces addresses, paths, sizes and versions. Lines of checks may be broken elsewhere by them, so these are joined. */
function steady(text: string): string {
  const joined = text.replaceAll(/^[✓✗·] \w+ .*(?:\n(?![✓✗·[]).+)*/gm, (line) =>
    line
      .replaceAll(/\n {17}/g, " ")
      .replaceAll("\n", "")
      .replaceAll(/ +/g, " "),
  );
  return joined
    .replaceAll(home.path, "HOME")
    .replaceAll(/(?:localhost|127\.0\.0\.1):\d+/g, "localhost:PORT")
    .replaceAll(/\d+(?:\.\d+)? [kMG]B/g, "SIZE")
    .replaceAll(/PostgreSQL 1\d[.\w-]*/g, "PostgreSQL VERSION")
    .replaceAll(/\b(dewey|version) \d+\.\d+\.\d+/gi, "$1 VERSION")
    .replaceAll(/schema \d{4}_\w+/g, "schema NEWEST")
    .replaceAll(/on (?:linux|darwin)-\w+/g, "on PLATFORM");
}

describe.skipIf(tmux === null)("a terminal", () => {
  for (const columns of WIDTHS)
    test(`of ${columns} columns shows what its golden file shows`, async () => {
      const file = join(FOLDER, `${columns}.txt`);
      const seen = await screens(columns);
      if (process.env["DEWEY_TEST_GOLDEN"] === "write") {
        mkdirSync(FOLDER, { recursive: true });
        writeFileSync(file, seen);
      }
      expect(seen).toBe(existsSync(file) ? readFileSync(file, "utf8") : "");
    });
});
