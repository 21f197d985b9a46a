import { basename, dirname } from "node:path";
import type { Json } from "../wire/frame.ts";
import type { Captured } from "./captured.ts";
import { GEMINI } from "./gemini.ts";
import { modelParts, userParts } from "./gemini-parts.ts";
import { RowReader } from "./row-reader.ts";
import type { SourceFile, SourceKind } from "./source-kind.ts";
import { Talk } from "./talk.ts";

const CHECKPOINT = /^checkpoint-(.+)$/;
/** How much of a file tells whether it is a checkpoint: its first message does. */
const HEAD_CHARACTERS = 1000;

/** Reads what a person saved with `/chat save TAG` in Gemini CLI or Qwen Code: the messages of the API, without ids and times. */
class CheckpointReader extends RowReader {
  readonly consulted: readonly string[] = [];
  readonly #file: SourceFile;
  readonly #talk: Talk;
  #hasBegun = false;

  constructor(file: SourceFile) {
    super();
    this.#file = file;
    const folder = file.path === undefined ? "" : basename(dirname(file.path));
    this.#talk = new Talk(GEMINI, `${folder} ${file.stem}`);
  }

  protected override readRow({ role, parts }: Json): Captured[] {
    const talk = this.#talk;
    const said = role === "model" ? modelParts(talk, parts, {}) : userParts(talk, parts, {});
    if (this.#hasBegun) return said;
    this.#hasBegun = true;
    const { time, stem } = this.#file;
    return [...talk.begin({ title: tagOf(stem), time, more: { from: "checkpoint" } }), ...said];
  }
}

/** The name that the person gave; the client writes it as in an address. */
function tagOf(stem: string): string | undefined {
  const tag = CHECKPOINT.exec(stem)?.[1];
  try {
    return tag === undefined ? undefined : decodeURIComponent(tag);
  } catch {
    return tag;
  }
}

export const geminiCheckpoint: SourceKind = {
  name: "Gemini CLI's saved chats",
  form: ({ text, stem }) => {
    const beginning = text.slice(0, HEAD_CHARACTERS);
    const found = /^\s*(\{\s*"history"\s*:\s*)?\[\s*\{\s*"(?:role"\s*:\s*"(?:user|model)"|parts"\s*:\s*\[)/.exec(
      beginning,
    );
    if (found === null || !(CHECKPOINT.test(stem) || /"parts"\s*:\s*\[/.test(beginning))) return undefined;
    return { depth: found[1] === undefined ? 1 : 2 };
  },
  reader: (file) => new CheckpointReader(file),
};
