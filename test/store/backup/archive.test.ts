import { describe, expect, test } from "bun:test";
import { packed, unpacked } from "../../../src/store/backup/archive.ts";
import type { ArchivePiece, UnpackLimits } from "../../../src/store/backup/archive.ts";
import { headerSum } from "../../../src/store/backup/tar.ts";
import { failure } from "../../support/failure.ts";

const generous: UnpackLimits = { pieces: 100, ratio: 1000, allowanceBytes: 100_000_000 };

async function* each<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  yield* items;
}

async function namesOf(archive: AsyncIterable<Uint8Array>, limits?: UnpackLimits): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of unpacked(archive, limits)) names.push(name);
  return names;
}

const pieces = (count: number, bytes: number): ArchivePiece[] =>
  Array.from({ length: count }, (_, n) => ({ name: `t/${n}.copy`, bytes: new Uint8Array(bytes) }));

/** The archive with the header of its last piece, the sums, changed. */
async function withSumsOf(size: number): Promise<AsyncGenerator<Uint8Array>> {
  const tar = Buffer.from(Bun.zstdDecompressSync(await new Response(packed(each(pieces(2, 10)))).bytes()));
  const at = tar.indexOf("SHA256SUMS\0");
  tar.write(`${size.toString(8).padStart(11, "0")}\0`, at + 124, "latin1");
  tar.write(
    `${headerSum(tar.subarray(at, at + 512))
      .toString(8)
      .padStart(6, "0")}\0 `,
    at + 148,
    "latin1",
  );
  return each([Bun.zstdCompressSync(Buffer.concat([tar, Buffer.alloc(50_000_000)]))]);
}

describe("an archive", () => {
  test("comes back piece by piece, empty ones too", async () => {
    expect(await namesOf(packed(each([...pieces(2, 600), { name: "e", bytes: new Uint8Array() }])))).toEqual([
      "t/0.copy",
      "t/1.copy",
      "e",
    ]);
  });

  test("with more pieces than any store has is refused", async () => {
    const limits = { ...generous, pieces: 5 };
    expect(await namesOf(packed(each(pieces(5, 1))), limits)).toHaveLength(5);
    expect(await failure(namesOf(packed(each(pieces(6, 1))), limits))).toMatchObject({
      code: "invalid",
      message: "this is not a Dewey backup",
    });
  });

  test("that unpacks to far more than its size is refused before it is unpacked", async () => {
    const archive = await new Response(packed(each(pieces(40, 1_000_000)))).bytes();
    expect(archive.length).toBeLessThan(20_000);
    expect(await namesOf(each([archive]), { ...generous, ratio: 1 })).toHaveLength(40);
    const limits = { ...generous, ratio: 1, allowanceBytes: 10_000_000 };
    let read = 0;
    const refused = await failure(
      (async () => {
        for await (const { bytes } of unpacked(each([archive]), limits)) read += bytes.length;
      })(),
    );
    expect(refused).toMatchObject({ code: "invalid", message: expect.stringContaining("unpacks to far more") });
    expect(read).toBeLessThanOrEqual(10_100_000);
  });

  test("whose sums are of another size than its pieces need is damaged, and is not read into memory", async () => {
    for (const size of [0, 1000, 8_000_000_000])
      expect(await failure(namesOf(await withSumsOf(size)))).toMatchObject({
        code: "invalid",
        message: "the backup is damaged or cut off",
      });
  });
});
