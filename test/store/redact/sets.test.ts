import { expect, test } from "bun:test";
import { createRedactor } from "../../../src/store/redact/redact.ts";
import { isMissed, secretCases } from "./sets/case.ts";
import { fifthHarmless, fifthSecrets } from "./sets/fifth.ts";
import { firstHarmless, firstSecrets } from "./sets/first.ts";
import { fourthHarmless, fourthSecrets } from "./sets/fourth.ts";
import { secondHarmless, secondSecrets } from "./sets/second.ts";
import { sixthHarmless, sixthSecrets } from "./sets/sixth.ts";
import { thirdHarmless, thirdSecrets } from "./sets/third.ts";
import { valuesFrom } from "./sets/values.ts";

const redactor = createRedactor();
/** Each set was measured before anything was changed for it: 17, 12, 8, 13, 1 and 4 % were missed then. */
const MISSED_AT_MOST = 0.03;

test.each([
  ["first", firstSecrets, firstHarmless],
  ["second", secondSecrets, secondHarmless],
  ["third", thirdSecrets, thirdHarmless],
  ["fourth", fourthSecrets, fourthHarmless],
  ["fifth", fifthSecrets, fifthHarmless],
  ["sixth", sixthSecrets, sixthHarmless],
] as const)("of the %s set, few secrets are missed and nothing harmless is cut", (_, shapes, harmless) => {
  const cases = [1, 2, 3].flatMap((seed) => secretCases(shapes, seed));
  expect(cases.length).toBeGreaterThan(250);
  const missed = cases.filter((each) => isMissed(each, redactor.text(each.text, {})));
  expect(missed.length / cases.length, JSON.stringify(missed.slice(0, 9))).toBeLessThanOrEqual(MISSED_AT_MOST);
  const cut = harmless(valuesFrom(1)).filter((text) => redactor.text(text, {}) !== text);
  expect(cut).toEqual([]);
});
