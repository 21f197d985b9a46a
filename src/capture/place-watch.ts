import { watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { awaitedNames, fits } from "./home.ts";

/** Folders that are watched for new places at once; the operating system limits them for all programs of a user. */
const MAX_FOLDERS = 1000;

/**
 * Tells when a folder or file appears that may be a place of sessions, such as those of a client that is used for the first
 * time, or of a new project. It misses what the operating system does not tell.
 */
export class PlaceWatch {
  readonly #patterns: string[];
  readonly #onAppeared: () => void;
  readonly #watches = new Map<string, { watching: FSWatcher; names: Set<string> }>();

  /** The patterns are those of `placesAt`. */
  constructor(patterns: string[], onAppeared: () => void) {
    this.#patterns = patterns;
    this.#onAppeared = onAppeared;
  }

  /** Watches where places may appear now. */
  update(): void {
    let awaited = this.#awaited();
    // What appears between a look and its watch is seen by the next look.
    for (let isNew = true; isNew; awaited = this.#awaited()) {
      isNew = false;
      for (const [folder, names] of awaited) {
        const known = this.#watches.get(folder);
        if (known !== undefined) known.names = names;
        else if (this.#watches.size < MAX_FOLDERS && this.#watch(folder, names)) isNew = true;
      }
    }
    for (const folder of this.#watches.keys()) if (!awaited.has(folder)) this.#unwatch(folder);
  }

  close(): void {
    for (const folder of this.#watches.keys()) this.#unwatch(folder);
  }

  #awaited(): Map<string, Set<string>> {
    const awaited = new Map<string, Set<string>>();
    for (const { folder, name } of awaitedNames(this.#patterns))
      awaited.set(folder, (awaited.get(folder) ?? new Set()).add(name));
    return awaited;
  }

  /** Returns whether the folder is watched. */
  #watch(folder: string, names: Set<string>): boolean {
    try {
      const watching = watch(folder, (_, name: string | null | undefined) => {
        const wanted = [...(this.#watches.get(folder)?.names ?? [])];
        if (name === null || name === undefined) this.#unwatch(folder);
        else if (wanted.some((part) => fits(name, part))) this.#onAppeared();
      });
      watching.on("error", () => this.#unwatch(folder));
      this.#watches.set(folder, { watching, names });
      return true;
    } catch {
      return false;
    }
  }

  #unwatch(folder: string): void {
    this.#watches.get(folder)?.watching.close();
    this.#watches.delete(folder);
  }
}
