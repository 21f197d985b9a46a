import { Database } from "bun:sqlite";
import { rmSync } from "node:fs";
import type { Reached } from "./follow.ts";

/** Raised when the table changes: files of another version are forgotten, and everything is read once more. */
const VERSION = 2;

/** A file as it was when it was last read, and how far. */
export interface WatchedFile extends Reached {
  bytes: number;
  modifiedMs: number;
  inode: number;
  /** Whether also that was stored which its reader holds back until the file's end. */
  hasEnded: boolean;
}

/**
 * The files that `dewey watch` has read, and how far, in a file of their own. To lose it costs time and nothing else: what is
 * stored already is recognised.
 */
export class WatchState {
  readonly #server: string;
  readonly #database: Database;

  /** What one server has is not what another has: each is remembered alone. */
  constructor(path: string, server: string) {
    this.#server = server;
    try {
      this.#database = opened(path);
    } catch {
      for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
      this.#database = opened(path);
    }
  }

  get(path: string): WatchedFile | undefined {
    const found = this.#database
      .query<Omit<WatchedFile, "hasEnded"> & { hasEnded: number }, [string, string]>(
        `select bytes, modified_ms as modifiedMs, inode, reached as end, lines as number, mark, ended as hasEnded
         from files where server = ? and path = ?`,
      )
      .get(this.#server, path);
    return found === null ? undefined : { ...found, hasEnded: found.hasEnded === 1 };
  }

  set(path: string, { bytes, modifiedMs, inode, end, number, mark, hasEnded }: WatchedFile): void {
    this.#database
      .query("insert or replace into files values (?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .run(this.#server, path, bytes, modifiedMs, inode, end, number, mark, hasEnded);
  }

  /** Forgets the files that are no longer there. */
  keepOnly(paths: Set<string>): void {
    const known = this.#database.query<{ path: string }, [string]>("select path from files where server = ?");
    const forget = this.#database.query("delete from files where server = ? and path = ?");
    for (const { path } of known.all(this.#server)) if (!paths.has(path)) forget.run(this.#server, path);
  }

  close(): void {
    this.#database.close();
  }
}

function opened(path: string): Database {
  const database = new Database(path, { create: true });
  try {
    database.run("pragma journal_mode = wal");
    database.run("pragma synchronous = normal");
    const version = database.query<{ user_version: number }, []>("pragma user_version").get()?.user_version;
    if (version !== VERSION) {
      database.run("drop table if exists files");
      database.run(`create table files (
        server text, path text, bytes integer, modified_ms real, inode integer, reached integer, lines integer, mark text,
        ended integer,
        primary key (server, path)
      ) without rowid`);
      database.run(`pragma user_version = ${VERSION}`);
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
