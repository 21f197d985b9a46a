import { useEffect, useState } from "preact/hooks";
import { copied } from "./copied.ts";

/** How long the button says what it did. */
const SAID_MS = 1500;

/** Copies a text and says so. */
export function CopyButton({ text, label = "Copy" }: { text: () => string; label?: string }) {
  const [said, setSaid] = useState<string>();
  useEffect(() => {
    const timer = setTimeout(() => setSaid(undefined), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => setSaid(await copied(text()));
  return (
    <button type="button" class="copy" onClick={() => void copy()}>
      {said ?? label}
    </button>
  );
}
