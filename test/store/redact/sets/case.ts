import { valuesFrom } from "./values.ts";
import type { Values } from "./values.ts";

/** A text with a secret in it, and what must not be left of it. */
export interface SecretCase {
  kind: string;
  text: string;
  secret: string;
}

/** Builds a text around a secret. */
export type Shape = readonly [kind: string, secret: (v: Values) => string, text: (secret: string, v: Values) => string];

export function secretCases(shapes: readonly Shape[], seed: number): SecretCase[] {
  const values = valuesFrom(seed);
  return shapes.map(([kind, makeSecret, makeText]) => {
    const secret = makeSecret(values);
    return { kind, secret, text: makeText(secret, values) };
  });
}

/** Characters of a secret that may be left: fewer tell nothing. */
const PIECE = 8;

/** Whether a reader of the redacted text learns the secret, or a large piece of it. */
export function isMissed({ secret }: SecretCase, redacted: string): boolean {
  const piece = Math.min(PIECE, secret.length);
  const flat = secret.replaceAll("\n", "");
  for (let at = 0; at + piece <= flat.length; at += 1) if (redacted.includes(flat.slice(at, at + piece))) return true;
  return false;
}
