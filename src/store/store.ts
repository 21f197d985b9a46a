import { Audit } from "./audit.ts";
import { Backfill } from "./backfill.ts";
import { recoverBackup, writeBackup } from "./backup/backup.ts";
import type { Recovered } from "./backup/backup.ts";
import { Calls } from "./calls.ts";
import type { Connection } from "./database/connection.ts";
import { Contexts } from "./contexts.ts";
import { Conversations } from "./conversations.ts";
import { Database } from "./database/database.ts";
import type { DatabaseOptions } from "./database/database.ts";
import { one } from "./database/one.ts";
import type { PoolUse } from "./database/pool.ts";
import { ImportedFiles } from "./imported-files.ts";
import { Imports } from "./imports.ts";
import { IndexSorter } from "./search/index-sorter.ts";
import { LastSessions } from "./last-sessions.ts";
import { Meaning } from "./meaning/meaning.ts";
import type { MeaningOptions, MeaningState } from "./meaning/meaning.ts";
import { Messages } from "./messages.ts";
import { inspect } from "./database/inspection.ts";
import { migrate } from "./database/migrations.ts";
import { Primary } from "./database/primary.ts";
import { DatabaseSize } from "./database/size.ts";
import { Reads } from "./database/reads.ts";
import type { ReadCounts } from "./database/reads.ts";
import { redactKey } from "./redact/redact.ts";
import type { Redactor } from "./redact/redact.ts";
import { Replica } from "./database/replica.ts";
import type { ReplicaHealth } from "./database/replica.ts";
import { Reindexer } from "./search/reindexer.ts";
import { Results } from "./results.ts";
import { Search } from "./search/search.ts";
import { canCorrect, prepareCorrections } from "./search/corrections.ts";
import { prepareLanguage, readReindexing } from "./search/language.ts";
import type { Reindexing } from "./search/language.ts";
import { Stats } from "./stats.ts";
import { Tail } from "./tail.ts";
import { Workshop } from "./workshop/workshop.ts";

export interface StoreOptions extends DatabaseOptions {
  /** A streaming replica for reads. */
  readConnection?: Connection | undefined;
  /** Days for which a deleted conversation can be restored. */
  trashDays: number;
  /** Cuts secrets from every write. */
  redactor: Redactor;
  /** Language of the stemmer, by its name in PostgreSQL; when absent, the database keeps its own. */
  searchLanguage?: string | undefined;
  /** Where vectors for search by meaning come from; without it, only words are searched. */
  embeddings?: MeaningOptions | undefined;
}

/** State of the database. */
interface StoreHealth {
  database: "ok";
  /** PostgreSQL's version, such as "18.4". */
  version: string;
  /** The number of the database's history, which a failover changes; absent where it cannot be known. */
  timeline?: number;
  migrations: { applied: number; newest: string };
  search: {
    /** Whether searches correct typing errors, which requires the extension pg_trgm. */
    corrections: boolean;
    language: string;
    /** Progress of a rebuild of the search index, while it runs. */
    reindexing?: Pick<Reindexing, "earlier" | "walked" | "total">;
  };
  /** Present when an embeddings endpoint is configured. */
  meaning?: MeaningState;
  /** Present when a replica is configured. */
  replica?: ReplicaHealth;
  /** Numbers of texts on which an added redaction pattern was ended, by its name. Absent while there are none. */
  ended_redactions?: Record<string, number>;
}

/** Everything that Dewey stores. Fields have the names of the tables' columns, so that no layer translates between them. */
export interface Store {
  conversations: Conversations;
  messages: Messages;
  imports: Imports;
  importedFiles: ImportedFiles;
  search: Search;
  /** Search by meaning; undefined while it is off. */
  meaning: Meaning | undefined;
  reindexer: Reindexer;
  backfill: Backfill;
  contexts: Contexts;
  lastSessions: LastSessions;
  results: Results;
  tail: Tail;
  calls: Calls;
  stats: Stats;
  audit: Audit;
  /** The whole store as an archive: a consistent snapshot. Throws `unavailable`. */
  backup(): Promise<ReadableStream<Uint8Array>>;
  /** Fills the store from an archive; a failure changes nothing. See `recoverBackup`. */
  recover(archive: AsyncIterable<Uint8Array>, options: { force: boolean }): Promise<Recovered>;
  /** Whether the database takes writes. */
  primary: Primary;
  size: DatabaseSize;
  /** Throws `unavailable`, with the reason, while the database is away or takes no writes. */
  health(): Promise<StoreHealth>;
  /** Opens the connections anew, without failing the calls on them: the password may have changed. */
  renewConnections(): void;
  /** Usage of each connection pool, by name. */
  pools(): Record<string, PoolUse>;
  /** Numbers of reads on the primary and on the replica; absent without a replica. */
  reads(): ReadCounts | undefined;
  close(): Promise<void>;
}

/**
 * Connects and migrates. Throws `unavailable` when the database is down, and `conflict` when its schema is newer than this
 * Dewey's, or when `readConnection` is not a replica of it.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const database = new Database(options);
  const { redactor, readConnection } = options;
  const workshop = new Workshop(redactor, options.log);
  let replica: Replica | undefined;
  try {
    await inspect(database, options.log);
    const migrations = await migrate(database, options.log);
    await database.warm();
    const prepareSearch = async () => {
      await prepareLanguage(database, options.searchLanguage, options.log);
      await prepareCorrections(database, options.log);
    };
    await prepareSearch();
    replica = readConnection && (await Replica.open(database, readConnection, options));
    const reads = new Reads(database, replica);
    const primary = new Primary(database, options.log);
    const sorter = new IndexSorter(database, options.log);
    const meaning = options.embeddings && new Meaning(database, options.embeddings, options.log);
    const messages = new Messages(database, reads, workshop, sorter);
    const audit = new Audit(database, redactor, options.log);
    return {
      conversations: new Conversations(database, reads, options.trashDays, workshop, audit),
      messages,
      imports: new Imports(database, workshop, messages),
      importedFiles: new ImportedFiles(database, workshop),
      search: new Search(database, reads, options.log, (key) => redactKey(redactor, key), meaning),
      meaning,
      reindexer: new Reindexer(database, options.searchLanguage, { workshop, sorter, log: options.log }),
      backfill: new Backfill(database, options.log),
      contexts: new Contexts(database, redactor, audit),
      lastSessions: new LastSessions(reads, redactor),
      results: new Results(database, workshop),
      tail: new Tail(database, redactor),
      calls: new Calls(reads, redactor),
      stats: new Stats(reads),
      audit,
      backup: () => writeBackup(database),
      async recover(archive, { force }) {
        const recovered = await recoverBackup(database, archive, force);
        await prepareSearch();
        return recovered;
      },
      primary,
      size: new DatabaseSize(database, options.log),
      async health() {
        await primary.check();
        const { timeline } = primary;
        const health: StoreHealth = await database.snapshot(async (sql) => {
          const row = await one<{ version: string }>(sql`select current_setting('server_version') as version`);
          const { language, under_way, ...reindexing } = await readReindexing(sql);
          const search = { corrections: await canCorrect(sql), language, ...(under_way ? { reindexing } : {}) };
          const ended = redactor.ended();
          const ended_redactions = Object.keys(ended).length === 0 ? {} : { ended_redactions: ended };
          const version = row.version.split(" ")[0] ?? "";
          const known = timeline === undefined ? {} : { timeline };
          const told = meaning ? { meaning: meaning.state() } : {};
          return { database: "ok", version, ...known, migrations, search, ...told, ...ended_redactions };
        });
        return replica ? { ...health, replica: await replica.health() } : health;
      },
      renewConnections() {
        database.renew();
        replica?.database.renew();
      },
      pools: () => ({ ...database.use(), ...replica?.use() }),
      reads: () => (replica ? reads.counts() : undefined),
      close: async () => {
        workshop.close();
        await audit.close();
        await Promise.all([database.close(), replica?.close()]);
      },
    };
  } catch (error) {
    await Promise.all([database.close(), replica?.close()]);
    throw error;
  }
}
