import { expect, test } from "bun:test";
import { createRedactor } from "../../../src/store/redact/redact.ts";
import { freshHarmless, freshSecrets } from "../../support/fresh-secrets.ts";
import { laterHarmless, laterSecrets } from "../../support/later-secrets.ts";
import { harmlessTexts } from "../../support/harmless-texts.ts";
import { secretTexts } from "../../support/secret-shapes.ts";

const redactor = createRedactor();
/** The values of a shape differ from one draw to the next, and now and then one is a word by chance. */
const MISSED_AT_MOST = 0.003;

test("secrets of every shape are cut, whatever their values", () => {
  const texts = secretTexts(2026, 5);
  expect(texts.length).toBeGreaterThan(1000);
  const missed = texts.filter(({ text, secrets }) => {
    const stored = redactor.text(text, {});
    return secrets.some((secret) => stored.includes(secret));
  });
  expect(missed.length / texts.length, JSON.stringify(missed.slice(0, 5))).toBeLessThanOrEqual(MISSED_AT_MOST);
});

test("of forms that were written afterwards, few are missed and hardly any harmless text is cut", () => {
  const texts = freshSecrets(5);
  const missed = texts.filter(({ text, secrets }) => {
    const stored = redactor.text(text, {});
    return secrets.some((secret) => stored.includes(secret));
  });
  const cut = freshHarmless.filter((text) => redactor.text(text, {}) !== text);
  expect(missed.length / texts.length, JSON.stringify(missed)).toBeLessThanOrEqual(0.05);
  expect(cut.length / freshHarmless.length, cut.join("\n")).toBeLessThanOrEqual(0.02);
});

test("of two later sets of forms, few are missed and nothing harmless is cut", () => {
  const texts = [1, 2, 3, 4, 5].flatMap(laterSecrets);
  const missed = texts.filter(([, text, secret]) => redactor.text(text, {}).includes(secret));
  const cut = laterHarmless.filter(([, text]) => redactor.text(text, {}) !== text);
  const forms = new Set(missed.map(([form]) => form));
  expect(missed.length / texts.length, [...forms].join(", ")).toBeLessThanOrEqual(0.03);
  expect(cut).toEqual([]);
});

test("what is stored is as it was when it is redacted again", () => {
  for (const { text } of secretTexts(7, 1)) {
    const stored = redactor.text(text, {});
    expect(redactor.text(stored, {})).toBe(stored);
  }
});

test("texts without a secret stay, though they speak of secrets or look like them", () => {
  const cut = harmlessTexts.filter((text) => redactor.text(text, {}) !== text);
  expect(cut).toEqual([]);
});

test("code and documents of others are hardly ever cut", async () => {
  let texts = 0;
  const cut: string[] = [];
  for (const folder of ["zod", "typescript", "@modelcontextprotocol/sdk", "yauzl"]) {
    const files = new Bun.Glob("**/*.{md,ts,js,json}").scanSync({ cwd: `node_modules/${folder}` });
    for (const file of [...files].toSorted().slice(0, 200)) {
      const text = await Bun.file(`node_modules/${folder}/${file}`).text();
      for (let at = 0; at < Math.min(text.length, 100_000); at += 2000) {
        texts += 1;
        const piece = text.slice(at, at + 2000);
        if (redactor.text(piece, {}) !== piece) cut.push(`${folder}/${file}`);
      }
    }
  }
  expect(texts).toBeGreaterThan(1000);
  expect(cut.length / texts, cut.join(", ")).toBeLessThan(0.005);
});
