import { createRedactor } from "../../src/store/redact/redact.ts";
import { redactionRates } from "../support/secret-corpus.ts";
import { withinLimit } from "./support/row.ts";
import type { Row } from "./support/row.ts";

const MISS_LIMIT_PERCENT = 5;
const FALSE_CUT_LIMIT_PERCENT = 2;

/** How often the redactor misses a secret of the corpus, and how often it cuts something else. */
export function redacting(): Promise<Row[]> {
  const { secrets, misses, plain, falseCuts } = redactionRates(createRedactor());
  return Promise.resolve([
    withinLimit(`secrets missed, of ${secrets}`, "%", [(100 * misses.length) / secrets], MISS_LIMIT_PERCENT),
    withinLimit(
      `texts cut without a secret, of ${plain}`,
      "%",
      [(100 * falseCuts.length) / plain],
      FALSE_CUT_LIMIT_PERCENT,
    ),
  ]);
}
