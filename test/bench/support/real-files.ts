import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const FOLDERS = ["/usr/lib", join(import.meta.dir, "../../../node_modules"), "/usr/share"];
const TEXTS = /\.(?:c|cjs|css|h|html|js|json|md|mjs|pl|pm|pod|py|rb|rst|sh|sql|ts|txt|xml|yaml)$/;
const BYTES = { least: 2000, most: 50_000 };
/** A tool result of several files, as coding agents leave them: its length, and that of a piece, in characters. */
const RESULT = { least: 5000, most: 37_000 };
const PIECE = { least: 2000, most: 5000 };

/** A seeded generator of numbers from 0 to 1 (Marsaglia's xorshift). */
export function seeded(seed: number): () => number {
  let state = Math.imul(seed, 0x9e37_79b9) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Texts of this machine, as many as wanted or as there are, in an order that depends on the files alone. */
export function realFiles(count: number): string[] {
  const paths = FOLDERS.flatMap((folder) => textsIn(folder)).toSorted();
  const random = seeded(5);
  const found: string[] = [];
  while (found.length < count && paths.length > 0) {
    const at = Math.floor(random() * paths.length);
    const path = paths[at] ?? "";
    paths[at] = paths.at(-1) ?? "";
    paths.pop();
    const { size } = statSync(path);
    if (size < BYTES.least || size > BYTES.most) continue;
    const text = readFileSync(path, "utf8");
    if (!/[\0\ufffd]/.test(text)) found.push(text);
  }
  return found;
}

function textsIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return textsIn(path);
    return entry.isFile() && TEXTS.test(entry.name) ? [path] : [];
  });
}

/** Long tool results of about 21 kB, each of pieces of several files. */
export function toolResults(count: number): string[] {
  const files = realFiles(2 * count);
  const random = seeded(7);
  const between = ({ least, most }: { least: number; most: number }) => least + random() * (most - least);
  return Array.from({ length: count }, (_, number) => {
    const wanted = between(RESULT);
    let text = "";
    while (text.length < wanted) {
      const file = files[Math.floor(random() * files.length)] ?? "";
      const start = Math.floor(random() * file.length);
      text += `$ cat part ${number}\n${file.slice(start, start + between(PIECE))}\n`;
    }
    return text;
  });
}
