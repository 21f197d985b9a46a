import { isBookkeeping } from "./captured.ts";
import type { Captured, SourcePlace } from "./captured.ts";
import type { FileLook } from "./file-content.ts";
import type { FileAccount, ImportedFile } from "./import-memory.ts";

/** Types of unknown rows of a file that is remembered; one with more is read at each import. */
const MAX_UNKNOWN_TYPES = 100;

/** Counts what one file holds while it is read, and whether all of that is stored. */
export class FileTally {
  readonly account: FileAccount = {
    rows: 0,
    messages: 0,
    broken: 0,
    // Without a prototype: a row's type may be `constructor`.
    unknown: Object.create(null) as Record<string, number>,
    faults: [],
  };
  readonly #look: FileLook | undefined;
  readonly #mostFaults: number;
  readonly #begun = new Set<string>();
  readonly #conversations = new Set<string>();
  readonly #consulted = new Set<string>();
  /** Whether the next import of the file would find nothing to store. */
  #isWhole: boolean;

  /** `mostFaults`: how many are kept for being told. */
  constructor(look: FileLook | undefined, mostFaults: number) {
    this.#look = look;
    this.#mostFaults = mostFaults;
    this.#isWhole = look !== undefined;
  }

  row(): void {
    this.account.rows += 1;
  }

  add(captured: Captured, place: SourcePlace): void {
    const { account } = this;
    switch (captured.kind) {
      case "conversation":
        if (!captured.ifNeeded) this.#begun.add(captured.begin.conversation_id);
        this.#conversations.add(captured.begin.conversation_id);
        // Whether it counts depends on what the store has from elsewhere.
        if (captured.unlessKnown) this.#isWhole = false;
        break;
      case "message":
        if (!isBookkeeping(captured.message)) account.messages += 1;
        this.#conversations.add(captured.conversation);
        break;
      case "facts":
        if (captured.facts.conversation_id !== undefined) this.#conversations.add(captured.facts.conversation_id);
        break;
      case "apart":
        this.#conversations.add(captured.conversation);
        break;
      case "repeated":
        account.messages += 1;
        break;
      case "unknown":
        account.unknown[captured.type] = (account.unknown[captured.type] ?? 0) + 1;
        break;
      case "broken":
        account.broken += 1;
        if (account.faults.length < this.#mostFaults) account.faults.push({ ...place, reason: captured.reason });
        break;
      case "result":
      case "context":
        // They may be deleted or changed without their conversation.
        this.#isWhole = false;
        break;
    }
  }

  /** Notes the files that the reader of a part has looked at besides. */
  consulted(paths: readonly string[] | undefined): void {
    if (paths === undefined) this.#isWhole = false;
    else for (const path of paths) this.#consulted.add(path);
  }

  /** Notes conversations that hold messages of the file; undefined when not all are known. */
  elsewhere(conversations: string[] | undefined): void {
    if (conversations === undefined) this.#isWhole = false;
    else for (const each of conversations) this.#conversations.add(each);
  }

  /** Notes that something in the file is not stored, or was not read. */
  leaveOut(): void {
    this.#isWhole = false;
  }

  /** The file, once everything in it is stored. `isAbsent`: conversations that never began, since all their messages are elsewhere. */
  imported(isAbsent: (conversation: string) => boolean): ImportedFile | undefined {
    if (this.#look === undefined || !this.#isWhole || Object.keys(this.account.unknown).length > MAX_UNKNOWN_TYPES)
      return undefined;
    return {
      look: this.#look,
      account: this.account,
      begun: [...this.#begun],
      conversations: [...this.#conversations].filter((each) => !isAbsent(each)),
      consulted: [...this.#consulted],
    };
  }
}
