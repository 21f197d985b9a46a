/** Reused by each call: an import makes several ids a row. */
const digest = Buffer.alloc(32);

/**
 * A UUID of version 8 (RFC 9562: the layout is the application's own) made from the SHA-256 of a text. The same text always
 * gives the same UUID.
 */
export function hashedUuid(text: string): string {
  Bun.SHA256.hash(text, digest);
  return uuid(digest, 8);
}

/** A UUID of version 7 whose timestamp is `timeMs` and whose other bits come from the SHA-256 of a text. */
export function timedUuid(timeMs: number, text: string): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(timeMs, 0, 6);
  Bun.SHA256.hash(text, digest);
  digest.copy(bytes, 6, 0, 10);
  return uuid(bytes, 7);
}

function uuid(bytes: Buffer, version: number): string {
  bytes[6] = (version << 4) | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString("hex", 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
