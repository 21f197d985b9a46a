import { isBookkeeping } from "./captured.ts";
import type { CapturedMessage } from "./captured.ts";

/** Counts what has become of messages as a person counts them: what programs note for themselves, such as titles, is none. */
export class MessageCounts {
  /** Messages that were new. */
  stored = 0;
  /** Messages that were new, because their ids were known with another text. */
  versions = 0;
  /** Messages that were there. */
  known = 0;
  /** Notes that were new. */
  notes = 0;

  /** Counts what is stored now. */
  new(messages: CapturedMessage[]): void {
    for (const each of messages) {
      if (isBookkeeping(each)) this.notes += 1;
      else if (each.metadata?.["version_of"] === undefined) this.stored += 1;
      else this.versions += 1;
    }
  }

  /** Counts what was stored before. */
  old(messages: CapturedMessage[]): void {
    this.known += messages.filter((each) => !isBookkeeping(each)).length;
  }
}
