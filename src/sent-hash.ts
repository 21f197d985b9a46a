/** SHA-256 (hexadecimal) of what a caller sent, independent of the order of keys. Equal hashes mark a repetition. */
export function sentHash(...parts: unknown[]): string {
  return Bun.SHA256.hash(JSON.stringify(parts.map(sorted)), "hex");
}

/** A value with the keys of its objects in order; itself when they are, as most are not copied. */
function sorted(value: unknown): unknown {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) {
    const copy = value.map(sorted);
    return copy.every((each, index) => each === value[index]) ? value : copy;
  }
  const keys = Object.keys(value).toSorted();
  return Object.fromEntries(keys.map((key) => [key, sorted((value as Record<string, unknown>)[key])]));
}
