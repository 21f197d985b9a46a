import type { Metadata } from "../exact.ts";
import { NAMED, isMark, mark } from "./cuts.ts";
import type { Redactions } from "./cuts.ts";
import { pairPart, secretName } from "./names.ts";
import type { SecretName } from "./names.ts";
import { findSecrets } from "./scanner.ts";
import { isPlaceholder, looksSecret } from "./values.ts";

/** Longest list of texts that is read as a whole, as the arguments of a command are. */
const MAX_ARGUMENTS_CHARACTERS = 20_000;
/** Keys of JSON Schema: the field describes a secret and holds none. */
const schemaKeys = ["type", "$ref", "description", "anyOf", "oneOf", "allOf", "properties", "format", "title"];
const SEPARATOR = '", "';

type RedactText = (text: string, found: Redactions) => string;

/** Metadata without secrets: cut from all texts and keys, and as whole values behind the names of secrets. */
export function redactedObject(given: Metadata, text: RedactText, found: Redactions): Metadata {
  return new Walk(text, found).object(given, undefined);
}

/** One walk over metadata; `name` is the nearest name of a secret above. */
class Walk {
  readonly #text: RedactText;
  readonly #found: Redactions;

  constructor(text: RedactText, found: Redactions) {
    this.#text = text;
    this.#found = found;
  }

  object(given: Metadata, above: SecretName | undefined): Metadata {
    const paired = pairedName(given);
    const result: Metadata = {};
    const uses = new Map<string, number>();
    for (const [key, value] of Object.entries(given)) {
      const own = paired !== undefined && pairPart(key) === "value" ? paired : secretName(key);
      const kept = unused(this.#text(key, this.#found), uses);
      // Defined, not assigned: a key may be `__proto__`.
      const stored = own === undefined ? this.#value(value, above) : this.#named(value, own);
      Object.defineProperty(result, kept, { value: stored, enumerable: true, configurable: true, writable: true });
    }
    return result;
  }

  #value(given: unknown, above: SecretName | undefined): unknown {
    if (typeof given === "string") return this.#below(given, above);
    if (typeof given === "number" && above !== undefined) return this.#number(given, above);
    if (given === null || typeof given !== "object") return given;
    if (!Array.isArray(given)) return this.object(given as Metadata, above);
    const texts = above === undefined ? this.#arguments(given) : undefined;
    return texts ?? given.map((each: unknown) => this.#value(each, above));
  }

  /** The value of a field that is named like a secret. */
  #named(given: unknown, name: SecretName): unknown {
    if (typeof given === "number") return this.#number(given, name);
    if (typeof given !== "string") return this.#value(given, isSchema(given) ? undefined : name);
    if (given === "" || isMark(given) || isPlaceholder(given)) return given;
    if (name.kind === "cookie") return this.#text(`Cookie: ${given}`, this.#found).slice("Cookie: ".length);
    const isWhole = name.kind !== "weak" && name.kind !== "basic" && name.kind !== "pin";
    return isWhole ? mark(NAMED, this.#found) : this.#below(given, name);
  }

  /** A text in a list or an object behind the name of a secret. */
  #below(given: string, name: SecretName | undefined): string {
    if (name === undefined || given === "" || isMark(given)) return this.#text(given, this.#found);
    const setting = { isQuoted: true, isTight: false, isData: name.kind === "password" };
    return looksSecret(given, name, setting) ? mark(NAMED, this.#found) : this.#text(given, this.#found);
  }

  #number(given: number, { kind }: SecretName): unknown {
    const digits = `${Math.abs(given)}`.length;
    const least = {
      password: 1,
      secret: 4,
      key: 4,
      pin: 3,
      token: 8,
      weak: 16,
      basic: 16,
      authorization: 4,
      cookie: 16,
    };
    return digits >= least[kind] ? mark(NAMED, this.#found) : given;
  }

  /** A list of texts is read as one: `["--password", "…"]`, `["x-api-key", "…"]`. Undefined for other lists. */
  #arguments(given: unknown[]): string[] | undefined {
    if (given.length < 2 || !given.every((each) => typeof each === "string")) return undefined;
    const whole = `["${given.join(SEPARATOR)}"]`;
    if (whole.length > MAX_ARGUMENTS_CHARACTERS) return undefined;
    const cuts = findSecrets(whole);
    let at = 2;
    return given.map((each) => {
      const start = at;
      at += each.length + SEPARATOR.length;
      const count = { ...this.#found };
      const stored = cuts.applyWithin(whole, start, start + each.length, this.#found);
      if (stored !== each) return stored;
      Object.assign(this.#found, count);
      return this.#text(each, this.#found);
    });
  }
}

/** Headers and variables are often lists of name and value. */
function pairedName(given: Metadata): SecretName | undefined {
  for (const [key, value] of Object.entries(given)) {
    if (typeof value === "string" && pairPart(key) === "name") {
      const name = secretName(value);
      if (name !== undefined) return name;
    }
  }
  return undefined;
}

function isSchema(given: unknown): boolean {
  return (
    given !== null &&
    typeof given === "object" &&
    !Array.isArray(given) &&
    schemaKeys.some((key) => Object.hasOwn(given, key))
  );
}

/** A key that the object does not have yet: two secrets as keys have the same mark. */
function unused(key: string, uses: Map<string, number>): string {
  const count = (uses.get(key) ?? 0) + 1;
  uses.set(key, count);
  return count === 1 ? key : `${key} ${count}`;
}
