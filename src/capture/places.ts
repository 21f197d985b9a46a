import { join } from "node:path";
import { homeOf, placesAt } from "./home.ts";
import { databaseKinds, sourceKinds } from "./source-kinds.ts";

/** A kind of source, where its files would be, and what is there. */
export interface Place {
  name: string;
  /** Paths in which `*` stands for any name, and `<editor>` for VS Code and each editor made from it. */
  looked: string[];
  found: string[];
}

/**
 * Where every kind of source keeps its files on this machine, in the order in which they are read: histories of
 * prompts come after the transcripts, because they only add sessions that have none.
 */
export function sourcePlaces(env: Record<string, string | undefined>): Place[] {
  const home = homeOf(env);
  const seen = new Set<string>();
  return [...databaseKinds, ...sourceKinds].flatMap((kind) => {
    const patterns = [...new Set(kind.where?.(home))];
    const looked = [
      ...new Set(kind.where?.({ ...home, editors: home.config.map((each) => join(each, "<editor>/User")) })),
    ];
    const found = placesAt(patterns).filter((path) => !seen.has(path));
    for (const path of found) seen.add(path);
    return looked.length === 0 ? [] : [{ name: kind.name, looked, found }];
  });
}
