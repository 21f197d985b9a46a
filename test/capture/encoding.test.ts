import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodedText } from "../../src/capture/encoding.ts";
import { ZstdFrames } from "../../src/capture/zstd-frames.ts";
import { piecesOf, sourcesIn } from "../../src/capture/sources.ts";
import { temporaryHome } from "../support/home.ts";
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

test("of a compressed file that is cut short everything before the cut is read, and then it is told", async () => {
  const rows = Array.from({ length: 6000 }, (_, index) => row(`${index}`, `${index} ${crypto.randomUUID()}`));
  const bytes = Buffer.from(jsonLines(...rows));
  for (const [name, whole] of [
    ["t.jsonl.zst", Bun.zstdCompressSync(bytes)],
    ["t.jsonl.gz", Bun.gzipSync(bytes)],
    ["small.jsonl.gz", Bun.gzipSync(bytes.subarray(0, 20_000))],
  ] as const) {
    using home = temporaryHome();
    const path = join(home.path, name);
    writeFileSync(path, whole.subarray(0, Math.floor(whole.length * 0.7)));
    const read: string[] = [];
    const reading = (async () => {
      for await (const source of sourcesIn(path))
        for await (const piece of piecesOf(source))
          for (const each of piece.captured) if (each.kind === "message") read.push(each.message.content);
    })();
    expect(reading).rejects.toThrow("unexpected end of file");
    await reading.catch(() => {});
    const [half, said] = [(name.startsWith("small") ? 140 : 6000) / 4, rows.map(({ message }) => message.content)];
    expect(read.length).toBeGreaterThan(half);
    expect(read).toEqual(said.slice(0, read.length));
  }
});

test("of a stream of zstd it is told whether it ends where a frame does", () => {
  const frames = [Buffer.alloc(300_000, "long "), Buffer.from(crypto.randomUUID()), Buffer.alloc(0)].map((each) =>
    Bun.zstdCompressSync(each),
  );
  const skippable = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const whole = Buffer.concat([...frames, skippable, ...frames]);
  const ends = new Set([0]);
  for (const each of [...frames, skippable, ...frames]) ends.add(Math.max(...ends) + each.length);
  for (let length = 0; length <= whole.length; length += 1)
    for (const size of [1, 5, whole.length]) {
      const walk = new ZstdFrames();
      for (let start = 0; start < length; start += size)
        walk.push(whole.subarray(start, Math.min(start + size, length)));
      expect([length, walk.isWhole]).toEqual([length, ends.has(length)]);
    }
});

test("a row that was torn costs only itself, whatever stands before or behind it", async () => {
  const [one, two, three] = ["one", "two", "three"].map((each) => JSON.stringify(row(each, each)));
  // The writer was stopped, and the next one went on behind the half of a row.
  for (const length of [1, 20, 60, (one?.length ?? 0) - 3])
    expect(await contents("t.jsonl", `${three}\n${one?.slice(0, length)}${two}\n`)).toEqual(["three", "two"]);
  expect(await contents("t.jsonl", `${one}${two}${three}\n`)).toEqual(["one", "two", "three"]);
  // The machine was: zeros stand where nothing had been written.
  expect(await contents("t.jsonl", `${one}\n${"\0".repeat(500)}${two}\n${"\0".repeat(500)}`)).toEqual(["one", "two"]);
});

test("two rows on one line are two rows, and a torn one beside a whole one costs only itself", async () => {
  const [one, two] = [row("1", "one"), row("2", 'tw"o}{')].map((each) => JSON.stringify(each));
  expect(await contents("t.jsonl", `${one}${two}\n`)).toEqual(["one", 'tw"o}{']);
  expect(await contents("t.jsonl", `${one}${two?.slice(0, 20)}\n${two}\n`)).toEqual(["one", 'tw"o}{']);
});
