import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { MediaReducer } from "../../../src/proxy/delivery/media.ts";
import { PNG } from "../../support/conformance-media.ts";

const sha256 = (data: Uint8Array) => new Bun.CryptoHasher("sha256").update(data).digest("hex");
const placeholder = (type: string, data: Uint8Array) => `[${type}, ${data.length} bytes, sha256 ${sha256(data)}]`;
const reduced = (text: string) => new MediaReducer().text(text);
const wrapped = (text: string, width: number, end: string) =>
  (text.match(new RegExp(`.{1,${width}}`, "g")) ?? []).join(end);

const noise = randomBytes(5000);
const base64 = noise.toString("base64");
const unknown = placeholder("application/octet-stream", noise);
const png = Buffer.concat([Buffer.from(PNG, "base64"), randomBytes(100)]);
const pngFacts = placeholder("image/png", png);

describe("Base64 in a text", () => {
  test("is replaced by its size and hash wherever it stands, and the text around it stays", () => {
    for (const [before, after] of [
      ["", ""],
      ["see ", " and read on"],
      ['{"image":"', '","n":1}'],
      ["(", ")\n"],
      ["日本 ", " 語"],
      ["a\\n", ""],
    ] as const) {
      expect(reduced(`${before}${base64}${after}`)).toBe(`${before}${unknown}${after}`);
    }
  });

  test("is recognised at each alignment, and twice in one text", () => {
    for (let shift = 0; shift < 45; shift++) {
      const text = `${" ".repeat(shift)}${base64} ${".".repeat(shift)}${base64}`;
      expect(reduced(text)).toBe(`${" ".repeat(shift)}${unknown} ${".".repeat(shift)}${unknown}`);
    }
  });

  test("is recognised in lines, in JSON's escapes and in the URL's alphabet", () => {
    const forms = [
      wrapped(base64, 76, "\r\n"),
      wrapped(base64, 64, "\n"),
      wrapped(base64, 76, "\\r\\n"),
      wrapped(base64, 76, "\\n"),
      base64.replaceAll("/", "\\/"),
      noise.toString("base64url"),
    ];
    for (const form of forms) expect(reduced(`"${form}"`)).toBe(`"${unknown}"`);
  });

  test("is recognised when it is short by a file's first bytes", () => {
    const kinds: [string, Uint8Array][] = [
      ["image/png", png],
      ["image/jpeg", Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), randomBytes(60)])],
      ["image/gif", Buffer.concat([Buffer.from("GIF89a"), randomBytes(60)])],
      ["image/webp", Buffer.concat([Buffer.from("RIFF\0\0\0\0WEBP"), Buffer.alloc(60)])],
      ["audio/wav", Buffer.concat([Buffer.from("RIFF\0\0\0\0WAVE"), Buffer.alloc(60)])],
      ["application/pdf", Buffer.concat([Buffer.from("%PDF-1.7"), randomBytes(60)])],
      ["application/zip", Buffer.concat([Buffer.from("PK\u0003\u0004"), randomBytes(60)])],
      ["video/mp4", Buffer.concat([Buffer.from("\0\0\0\u0018ftypisom"), randomBytes(60)])],
    ];
    for (const [type, bytes] of kinds)
      expect(reduced(`x ${Buffer.from(bytes).toString("base64")} y`)).toBe(`x ${placeholder(type, bytes)} y`);
  });

  test("is recognised in a data URI, with the type that it names", () => {
    const zeros = Buffer.alloc(90);
    const text = `![a](data:image/bmp;charset=x;base64,${zeros.toString("base64")}) after`;
    expect(reduced(text)).toBe(`![a](${placeholder("image/bmp", zeros)}) after`);
  });

  test("is not seen in words, numbers, paths, hashes and repetitions, however long", () => {
    const texts = [
      "l".repeat(100_000),
      "0123456789abcdef".repeat(1000),
      "GATTACA".repeat(1000),
      "some/path/of/many/parts/".repeat(500),
      "averylongwordwithoutanyspaces".repeat(100),
      Array.from({ length: 2000 }, (_, index) => `line ${index} of a report, with words`).join("\n"),
      Array.from({ length: 500 }, (_, index) => sha256(Buffer.from(`${index}`))).join("\n"),
      "function a(b){return b.c(d)+e[f]};".repeat(500),
      "日本語".repeat(5000),
    ];
    for (const text of texts) expect(reduced(text)).toBe(text);
  });
});

describe("Base64 in a JSON value", () => {
  const value = (given: unknown) => new MediaReducer().value(given);

  test("is replaced at any place", () => {
    expect(value({ rows: [{ picture: base64, name: "n" }], n: 1 })).toEqual({
      rows: [{ picture: unknown, name: "n" }],
      n: 1,
    });
    expect(value([png.toString("base64")])).toEqual([pngFacts]);
  });

  test("is recognised when it is short by the type beside it", () => {
    const zeros = Buffer.alloc(60);
    const data = zeros.toString("base64");
    for (const name of ["mimeType", "media_type", "contentType"])
      expect(value({ [name]: "image/x", data })).toEqual({ [name]: "image/x", data: placeholder("image/x", zeros) });
    expect(value({ encoding: "base64", content: data })).toMatchObject({
      content: placeholder("application/octet-stream", zeros),
    });
    expect(value({ mimeType: "text/plain", text: data, etag: data })).toEqual({
      mimeType: "text/plain",
      text: data,
      etag: data,
    });
  });

  test("is replaced as bytes in numbers", () => {
    const buffer = JSON.parse(JSON.stringify({ image: png })) as unknown;
    expect(value(buffer)).toEqual({ image: placeholder("application/octet-stream", png) });
  });

  test("leaves a value without any as it is", () => {
    const given = { a: ["b", { c: 1 }], d: null };
    expect(value(given)).toBe(given);
  });

  test("is collected with type, size and hash", () => {
    const media = new MediaReducer();
    media.value({ a: base64, b: `data:image/png;base64,${png.toString("base64")}` });
    expect(media.found).toEqual([
      { type: "base64", mimeType: "application/octet-stream", bytes: 5000, sha256: sha256(noise) },
      { type: "base64", mimeType: "image/png", bytes: png.length, sha256: sha256(png) },
    ]);
  });
});
