import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

/** A document in Markdown, by its path from the root. */
export interface Document {
  path: string;
  text: string;
}

/** Every document that people read, without what belongs to other programs or to recorded data. */
export function documents(): Document[] {
  const found = [...new Bun.Glob("**/*.md").scanSync({ cwd: root })];
  const own = found.filter((path) => !/(^|\/)(node_modules|dist|recorded)\//.test(path));
  return own.toSorted().map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

/** What stands between backticks within lines. */
export function codeSpans(text: string): string[] {
  return [...withoutBlocks(text).matchAll(/`([^`]+)`/g)].map(([, span]) => (span ?? "").replaceAll(/\s+/g, " "));
}

/** The lines of the fenced blocks of a language. */
function blockLines(text: string, language: string): string[] {
  const blocks = text.matchAll(/^```(\w*)\n(.*?)^```$/gms);
  return [...blocks].filter(([, named]) => named === language).flatMap(([, , inside]) => (inside ?? "").split("\n"));
}

/** The commands that fenced blocks show to be copied; what a `console` prints stands among them, without a `$`. */
export function shownCommands(text: string): string[] {
  const typed = blockLines(text, "console").filter((line) => line.startsWith("$ "));
  return [...blockLines(text, "sh"), ...typed].map((line) => line.replace(/^\$ /, "").replace(/\s+#.*$/, ""));
}

/** The targets of links and pictures. */
export function linkTargets(text: string): string[] {
  const plain = withoutBlocks(text).replaceAll(/`[^`]*`/g, "");
  return [...plain.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target ?? "");
}

/** The anchors of headings, as GitHub makes them. */
export function anchors(text: string): string[] {
  const seen = new Map<string, number>();
  return [...withoutBlocks(text).matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading = ""]) => {
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = plain.replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

function withoutBlocks(text: string): string {
  return text.replaceAll(/^```.*?^```$/gms, "");
}
