import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { BLOCK_BYTES, headerSum, padding } from "../store/backup/tar.ts";

/** One entry of an archive. A folder stands before what is in it. */
export interface TarEntry {
  /** Path in the archive, without a slash at its end; at most 255 bytes. */
  name: string;
  content: Uint8Array | { link: string } | "folder";
  isExecutable?: boolean;
}

/** The field of a name holds 100 bytes; folders before it may stand in the prefix. */
const NAME_BYTES = 100;
const PREFIX_BYTES = 155;

/**
 * A tar (POSIX.1-1988) that depends on its entries only: all files belong to root and have the same time, in seconds since
 * 1970. Throws for a name that is too long.
 */
export function tarOf(entries: readonly TarEntry[], seconds: number): Uint8Array<ArrayBuffer> {
  const blocks = entries.flatMap((entry) => blocksOf(entry, seconds));
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK_BYTES)]);
}

/** Everything in a folder, in the order of the paths. */
export function entriesIn(folder: string): TarEntry[] {
  const names = readdirSync(folder, { recursive: true }).map(String);
  return names.toSorted().map((name) => {
    const path = join(folder, name);
    const found = lstatSync(path);
    if (found.isDirectory()) return { name, content: "folder" };
    if (found.isSymbolicLink()) return { name, content: { link: readlinkSync(path) } };
    // Only this bit is kept: the others depend on the umask under which the package was unpacked.
    return { name, content: readFileSync(path), isExecutable: (found.mode & 0o100) !== 0 };
  });
}

function blocksOf({ name, content, isExecutable = false }: TarEntry, seconds: number): Uint8Array[] {
  const bytes = content instanceof Uint8Array ? content : new Uint8Array();
  const link = typeof content === "object" && "link" in content ? content.link : "";
  const kind = content === "folder" ? "5" : link === "" ? "0" : "2";
  const mode = kind === "0" && !isExecutable ? 0o644 : 0o755;
  const { prefix, rest } = splitName(kind === "5" ? `${name}/` : name);
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  block.write(rest, 0, "utf8");
  block.write(octal(mode, 7) + octal(0, 7) + octal(0, 7) + octal(bytes.length, 11) + octal(seconds, 11), 100, "latin1");
  block.write(`        ${kind}${link}`, 148, "utf8");
  block.write("ustar\x0000", 257, "latin1");
  block.write("root", 265, "latin1");
  block.write("root", 297, "latin1");
  block.write(prefix, 345, "utf8");
  block.write(`${octal(headerSum(block), 6)} `, 148, "latin1");
  return [block, bytes, Buffer.alloc(padding(bytes.length))];
}

function splitName(name: string): { prefix: string; rest: string } {
  if (Buffer.byteLength(name) <= NAME_BYTES) return { prefix: "", rest: name };
  for (let at = name.indexOf("/"); at !== -1; at = name.indexOf("/", at + 1)) {
    const [prefix, rest] = [name.slice(0, at), name.slice(at + 1)];
    if (Buffer.byteLength(rest) <= NAME_BYTES && Buffer.byteLength(prefix) <= PREFIX_BYTES && rest !== "")
      return { prefix, rest };
  }
  throw new Error(`the name ${name} is too long for a tar`);
}
