/** Copies a text. Returns the word for what came of it: browsers allow it only over TLS and on the machine itself. */
export async function copied(text: string): Promise<string> {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    return "Not allowed";
  }
}
