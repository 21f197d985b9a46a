import type { Database } from "./database/database.ts";
import type { Metadata } from "./exact.ts";
import type { Workshop } from "./workshop/workshop.ts";

/** A file of another program of which everything is stored. Digests are hexadecimal. */
export interface ImportedFile {
  /** Stands for the machine and the path. */
  file: string;
  /** Stands for the build that read the file, and for everything that it read. */
  digest: string;
  /** What an import tells of the file. */
  told: Metadata;
}

/** The files that are stored in full. One is forgotten when any conversation with messages of it is deleted for good. */
export class ImportedFiles {
  readonly #database: Database;
  readonly #workshop: Workshop;

  constructor(database: Database, workshop: Workshop) {
    this.#database = database;
    this.#workshop = workshop;
  }

  /** Those among files that are remembered. */
  async list({ files }: { files: string[] }): Promise<{ files: ImportedFile[] }> {
    return this.#database.retried(async (sql) => ({
      files: await sql`
        select encode(file, 'hex') as file, encode(digest, 'hex') as digest, told from imported_files
        where file in (select decode(given, 'hex') from unnest(${sql.array(files, "TEXT")}::text[]) as given)`,
    }));
  }

  /** Remembers files, each unless one of its conversations is not there any more. */
  async note({ files }: { files: (ImportedFile & { conversations: string[] })[] }): Promise<{ noted: number }> {
    let noted = 0;
    for (const { file, digest, conversations, told } of files) {
      const { readable } = await this.#workshop.make("metadata", told);
      const rows: unknown[] = await this.#database.transaction(async (sql) => {
        const ids = sql.array([...new Set(conversations.map((id) => id.toLowerCase()))], "UUID");
        // Locked, so that none is deleted before the row is there that goes with it.
        return sql`
          insert into imported_files (file, digest, conversations, told)
          select decode(${file}, 'hex'), decode(${digest}, 'hex'), ${ids}::uuid[], ${readable}::text::jsonb
          where cardinality(${ids}::uuid[]) =
            (select count(*) from (select from conversations where id = any(${ids}::uuid[]) for key share) as there)
          on conflict (file) do update
            set digest = excluded.digest, conversations = excluded.conversations, told = excluded.told
          returning file`;
      });
      noted += rows.length;
    }
    return { noted };
  }
}
