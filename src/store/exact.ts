/**
 * PostgreSQL's text and jsonb cannot hold U+0000 or lone surrogates, and tools print both. Such a value is stored twice:
 * readable, with U+FFFD in their place, for search and for people; and exact, as JSON text, in which both are escapes.
 * `exact` is null where the readable form is the value itself, which is nearly always.
 */
export interface Storable {
  readable: string;
  exact: string | null;
}

export type Metadata = Record<string, unknown>;

export function storableText(text: string): Storable {
  if (text.isWellFormed() && !text.includes("\0")) return { readable: text, exact: null };
  return { readable: text.toWellFormed().replaceAll("\0", "\uFFFD"), exact: JSON.stringify(text) };
}

export function exactText(readable: string, exact: string | null): string {
  return exact === null ? readable : (JSON.parse(exact) as string);
}

/** JSON.stringify escapes a surrogate only when it stands alone. */
const mayRefuse = /\\u(?:0000|d[89a-f])/;
/** Matches every escape of a JSON text, so that `u0000` after an escaped backslash is not taken for an escape. */
const escapes = /\\(?:u(?:0000|d[89a-f][0-9a-f]{2})|[^])/g;

/** Metadata as JSON text; null stays null. */
export function storableMetadata(metadata: Metadata | null | undefined): {
  readable: string | null;
  exact: string | null;
} {
  if (metadata === null || metadata === undefined) return { readable: null, exact: null };
  const json = JSON.stringify(metadata);
  if (!mayRefuse.test(json)) return { readable: json, exact: null };
  const readable = json.replace(escapes, (escape) => (escape.length > 2 ? "\uFFFD" : escape));
  return { readable, exact: readable === json ? null : json };
}

export function exactMetadata(readable: Metadata | null, exact: string | null): Metadata | null {
  return exact === null ? readable : (JSON.parse(exact) as Metadata);
}
