import { hostname } from "node:os";
import { z } from "zod";
import { asDeweyError } from "../errors.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import { FileHashes, contentDigest, isAsBefore, lookAt, wereAtRest } from "./file-content.ts";
import type { FileLook } from "./file-content.ts";

/** Files of one call. */
const MAX_FILES = 100;
/** Conversations of a file that is remembered; an archive of more is read at each import. */
const MAX_CONVERSATIONS = 10_000;

/** What an import tells of a file. */
export interface FileAccount {
  rows: number;
  /** Messages in it, also those that another row repeats, without bookkeeping. */
  messages: number;
  broken: number;
  /** Rows of unknown types, by type. */
  unknown: Record<string, number>;
  /** The first faults. */
  faults: { source: string; row: number; reason: string }[];
}

/** A file of which everything is stored. */
export interface ImportedFile {
  look: FileLook;
  account: FileAccount;
  /** The conversations that begin in it, and those that have messages of it; when one is deleted, it is read again. */
  begun: string[];
  conversations: string[];
  /** The files beside it on which that depends. */
  consulted: string[];
}

/** What the store remembers. Another build may have noted it in another shape; then the file is read. */
const rememberedSchema = z.object({
  digest: z.string(),
  account: z.object({
    rows: z.int(),
    messages: z.int(),
    broken: z.int(),
    unknown: z.record(z.string(), z.int()),
    faults: z.array(z.object({ source: z.string(), row: z.int(), reason: z.string() })),
  }),
  begun: z.array(z.string()),
  consulted: z.array(z.string()),
});
type Remembered = z.output<typeof rememberedSchema>;

/**
 * The files that the store has in full, so that they are not read again while they are unchanged to the last byte. The store
 * itself remembers, so that a recovered database, another server and a conversation that is deleted for good are not mistaken
 * for what was there.
 */
export class ImportMemory {
  readonly #call: (tool: string, args: Json) => Promise<Json>;
  readonly #hashes = new FileHashes();
  readonly #remembered = new Map<string, Remembered>();
  #isKept = true;

  constructor(call: (tool: string, args: Json) => Promise<Json>) {
    this.#call = call;
  }

  /** Asks what the store remembers of files. */
  async ask(paths: string[]): Promise<void> {
    for (let start = 0; start < paths.length && this.#isKept; start += MAX_FILES) {
      const names = new Map(paths.slice(start, start + MAX_FILES).map((path) => [nameOf(path), path]));
      const reply = await this.#quietly("dewey_list_imported_files", { files: [...names.keys()] });
      for (const each of Array.isArray(reply?.["files"]) ? reply["files"] : []) {
        const { file, digest, told } = isObject(each) ? each : {};
        const path = names.get(String(file));
        const remembered = rememberedSchema.safeParse({ digest, ...(isObject(told) ? told : {}) });
        if (path !== undefined && remembered.success) this.#remembered.set(path, remembered.data);
      }
    }
  }

  /** What the last import told of a file, when the store has everything in it. */
  async recall(look: FileLook): Promise<Pick<ImportedFile, "account" | "begun"> | undefined> {
    const known = this.#remembered.get(look.path);
    if (known === undefined) return undefined;
    return (await contentDigest(look, known.consulted, this.#hashes)) === known.digest ? known : undefined;
  }

  /** Looks at a file, when that is of use. */
  async look(path: string): Promise<FileLook | undefined> {
    return this.#isKept ? lookAt(path) : undefined;
  }

  /** Has the store remember files, each unless it has changed while it was read. */
  async remember(files: ImportedFile[]): Promise<void> {
    for (let start = 0; start < files.length && this.#isKept; start += MAX_FILES) {
      const noted: Json[] = [];
      for (const { look, account, begun, conversations, consulted } of files.slice(start, start + MAX_FILES)) {
        if (conversations.length > MAX_CONVERSATIONS || !wereAtRest(consulted, look)) continue;
        if (!(await isAsBefore(look).catch(() => false))) continue;
        const digest = await contentDigest(look, consulted, this.#hashes);
        if (digest === undefined) continue;
        noted.push({ file: nameOf(look.path), digest, conversations, told: { account, begun, consulted } });
      }
      if (noted.length > 0) await this.#quietly("dewey_note_imported_files", { files: noted });
    }
  }

  /** A server that is older has no such tools, and what is remembered only saves time. */
  async #quietly(tool: string, args: Json): Promise<Json | undefined> {
    try {
      return await this.#call(tool, args);
    } catch (thrown) {
      const { code } = asDeweyError(thrown);
      if (code === "unavailable" || code === "unauthorized") throw thrown;
      this.#isKept = false;
      return undefined;
    }
  }
}

/** Stands for a path of this machine. */
function nameOf(path: string): string {
  return Bun.SHA256.hash(JSON.stringify([hostname(), path]), "hex");
}
