import { describe, expect, test } from "bun:test";
import { decodedText } from "../../src/capture/encoding.ts";
import { captureFile, jsonLines } from "../support/imports.ts";

async function decoded(bytes: Uint8Array, size = bytes.length): Promise<string> {
  async function* chunks() {
    for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
  }
  return Buffer.concat(await Array.fromAsync(decodedText(chunks()))).toString();
}

describe("a text is decoded", () => {
  const text = '{"a":"é漢🙂"}\n'.repeat(20);
  const utf8 = Buffer.from(text);
  const utf16 = Buffer.from(text, "utf16le");
  const forms = {
    "as it is": utf8,
    "behind a byte order mark": Buffer.concat([Buffer.from("\uFEFF"), utf8]),
    "from UTF-16 with a mark": Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]),
    "from UTF-16 without one": utf16,
    "from UTF-16 of the other order": Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(utf16).swap16()]),
    "from gzip": Bun.gzipSync(utf8),
    "from zstd": Bun.zstdCompressSync(utf8),
    "from UTF-16 in gzip": Bun.gzipSync(utf16),
  };
  for (const [name, bytes] of Object.entries(forms))
    test(name, async () => {
      for (const size of [1, 7, bytes.length]) expect(await decoded(bytes, size)).toBe(text);
    });

  test("of no bytes to nothing", async () => {
    expect(await decoded(new Uint8Array())).toBe("");
  });
});

const row = (uuid: string, content: string) => ({
  type: "user",
  uuid,
  sessionId: "s",
  cwd: "/x",
  message: { content },
});
const contents = async (name: string, bytes: string | Uint8Array) =>
  (await captureFile(name, bytes))?.flatMap((each) => (each.kind === "message" ? [each.message.content] : []));

test("transcripts are read from compressed files", async () => {
  const bytes = Buffer.from(jsonLines(row("1", "one"), row("2", "two")));
  expect(await contents("t.jsonl.zst", Bun.zstdCompressSync(bytes))).toEqual(["one", "two"]);
  expect(await contents("t.jsonl.gz", Bun.gzipSync(bytes))).toEqual(["one", "two"]);
});

test("two rows on one line are two rows, and a torn one beside a whole one costs only itself", async () => {
  const [one, two] = [row("1", "one"), row("2", 'tw"o}{')].map((each) => JSON.stringify(each));
  expect(await contents("t.jsonl", `${one}${two}\n`)).toEqual(["one", 'tw"o}{']);
  expect(await contents("t.jsonl", `${one}${two?.slice(0, 20)}\n${two}\n`)).toEqual(["one", 'tw"o}{']);
});
