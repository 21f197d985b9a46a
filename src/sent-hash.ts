/** SHA-256 (hexadecimal) of what a caller sent, independent of the order of keys. Equal hashes mark a repetition. */
export function sentHash(...parts: unknown[]): string {
  return Bun.SHA256.hash(JSON.stringify(parts.map(sorted)), "hex");
}

/** A value with the keys of its objects in order. What is in order is not copied. */
function sorted(value: unknown): unknown {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) {
    const copy = value.map(sorted);
    return copy.every((each, index) => each === value[index]) ? value : copy;
  }
  const keys = Object.keys(value);
  let isSame = true;
  for (let index = 1; index < keys.length && isSame; index += 1) isSame = (keys[index - 1] ?? "") < (keys[index] ?? "");
  if (!isSame) keys.sort();
  const copy: Record<string, unknown> = {};
  for (const key of keys) {
    const given = (value as Record<string, unknown>)[key];
    const each = sorted(given);
    isSame &&= each === given;
    // A plain assignment to __proto__ would set the prototype.
    if (key === "__proto__") Object.defineProperty(copy, key, { value: each, enumerable: true });
    else copy[key] = each;
  }
  return isSame ? value : copy;
}
