/** SHA-256 (hexadecimal) of what a caller sent, independent of the order of keys. Equal hashes mark a repetition. */
export function sentHash(...parts: unknown[]): string {
  return Bun.SHA256.hash(written(parts), "hex");
}

/** A value as JSON, with the keys of its objects in order: first those that are numbers, which JavaScript puts there itself. */
function written(value: unknown): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(written).join(",")}]`;
  let text = "";
  for (const key of keysOf(value)) {
    const each = (value as Record<string, unknown>)[key];
    if (each !== undefined) text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${written(each)}`;
  }
  return `{${text}}`;
}

function keysOf(value: object): string[] {
  const keys = Object.keys(value).sort();
  const mayBeNumbers = keys.some((key) => key.charCodeAt(0) <= 0x39 && /^\d/.test(key));
  return mayBeNumbers ? Object.keys(Object.fromEntries(keys.map((key) => [key, null]))) : keys;
}
