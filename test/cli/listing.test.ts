import { describe, expect, test } from "bun:test";
import { drawnListing } from "../../src/cli/listing.ts";
import { cut } from "../../src/cli/terminal.ts";
import type { Terminal } from "../../src/cli/terminal.ts";

/** A terminal without colours of this width, or none at all. */
function plainTerminal(columns: number): Terminal {
  return {
    interactive: columns < Infinity,
    columns,
    paint: (_, text) => text,
    markdown: (text) => text,
    prose: (text) => text,
    fit: (line, taken = 0) => (columns < Infinity ? cut(line, Math.max(1, columns - taken)) : line),
  };
}

const now = new Date("2026-11-29T12:00:00Z");
const facts = {
  session_id: null,
  title_source: null,
  branch: null,
  parent_id: null,
  forked_from: null,
  metadata: null,
};
const entries = [
  {
    id: "3f2a91c4-1b7e-4d5a-9c3e-000000000001",
    title:
      "Fix the flaky test of the shipper, which waits for a fixed time instead of a condition, and say why it failed",
    folder: "/home/ana/work/dewey",
    client: "claude-code",
    updated_at: "2026-11-29T10:00:00Z",
    message_count: 1234,
    starred: true,
  },
  {
    id: "019abcde-f012-7345-8678-000000000002",
    title:
      "データベースの移行計画を見直して、ロールバックの手順も書いてください。本番環境では停止時間を五分以内にしたいです",
    folder: "C:\\Users\\Yuki\\移行",
    client: "codex",
    updated_at: "2026-11-26T12:00:00Z",
    message_count: 8,
    starred: false,
  },
  {
    id: "7c0ffee1-2222-4333-8444-000000000003",
    title: "🚀 Déployer l’API 👩‍💻 sans coupure\n\nplease",
    folder: "/srv/api-gateway-with-a-very-long-folder-name",
    client: "gemini",
    updated_at: "2025-03-02T12:00:00Z",
    message_count: 1,
    starred: false,
    parent_id: "3f2a91c4-1b7e-4d5a-9c3e-000000000001",
  },
  {
    id: "8d1ffee1-2222-4333-8444-000000000004",
    title: null,
    session_id: "nightly",
    folder: null,
    client: null,
    updated_at: "2026-11-29T11:59:30Z",
    message_count: 0,
    starred: false,
  },
].map((entry) => ({ ...facts, ...entry, created_at: "2024-01-01T00:00:00Z" }));

const drawn = (columns: number, list = entries) => drawnListing(list, plainTerminal(columns), "updated_at", now);

const text = (...lines: string[]) => lines.map((line) => `${line}\n`).join("");

describe("a list of conversations", () => {
  test("takes two lines each at 60 columns", () => {
    expect(drawn(60)).toBe(
      text(
        "1  ★ Fix the flaky test of the shipper, which waits for a f…",
        "   dewey · claude-code · 2 h ago · 1,234 messages · 3f2a91c4",
        "2  データベースの移行計画を見直して、ロールバックの手順も書…",
        "   移行 · codex · 3 d ago · 8 messages · 019abcde-f012",
        "3  sub-agent: 🚀 Déployer l’API 👩‍💻 sans coupure please",
        "   api-gateway-wit… · 2 Mar 2025 · 1 message · 7c0ffee1",
        "4  nightly",
        "   just now · 0 messages · 8d1ffee1",
      ),
    );
  });

  test("takes two lines each at 80 columns", () => {
    expect(drawn(80)).toBe(
      text(
        "1  ★ Fix the flaky test of the shipper, which waits for a fixed time instead of…",
        "   dewey · claude-code · 2 h ago · 1,234 messages · 3f2a91c4",
        "2  データベースの移行計画を見直して、ロールバックの手順も書いてください。本番環…",
        "   移行 · codex · 3 d ago · 8 messages · 019abcde-f012",
        "3  sub-agent: 🚀 Déployer l’API 👩‍💻 sans coupure please",
        "   api-gateway-wit… · gemini · 2 Mar 2025 · 1 message · 7c0ffee1",
        "4  nightly",
        "   just now · 0 messages · 8d1ffee1",
      ),
    );
  });

  test("is a table at 200 columns", () => {
    expect(drawn(200)).toBe(
      text(
        "#  TITLE                                                                                                 PROJECT                   CLIENT       WHEN        MESSAGES  ID",
        "1  ★ Fix the flaky test of the shipper, which waits for a fixed time instead of a condition, and say w…  dewey                     claude-code  2 h ago        1,234  3f2a91c4",
        "2  データベースの移行計画を見直して、ロールバックの手順も書いてください。本番環境では停止時間を五分以…   移行                      codex        3 d ago            8  019abcde-f012",
        "3  sub-agent: 🚀 Déployer l’API 👩‍💻 sans coupure please                                                   api-gateway-with-a-very…  gemini       2 Mar 2025         1  7c0ffee1",
        "4  nightly                                                                                                                                      just now           0  8d1ffee1",
      ),
    );
  });

  test("is the same table without a terminal, however long a title is", () => {
    expect(drawn(Infinity)).toBe(drawn(200));
  });

  test("fits every width, in cells of the terminal", () => {
    for (let columns = 40; columns <= 220; columns += 1)
      for (const line of drawn(columns).split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns);
  });

  test("shows whole ids where their beginnings are the same", () => {
    const [first, second] = entries;
    const twin = { ...first, id: "3f2a91c4-ffff-4d5a-9c3e-000000000009" } as (typeof entries)[number];
    const text = drawn(200, [first, second, twin] as typeof entries);
    expect(text).toContain(`${first?.id}\n`);
    expect(text).toContain(`${twin.id}\n`);
    expect(text).toContain("  019abcde-f012\n");
  });

  test("tells the time of creation when it is sorted by it", () => {
    expect(drawnListing(entries, plainTerminal(80), "created_at", now).match(/1 Jan 2024/g)).toHaveLength(4);
  });
});
