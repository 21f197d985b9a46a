import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packed, unpacked } from "../../../src/store/backup/archive.ts";
import type { ArchivePiece } from "../../../src/store/backup/archive.ts";
import { derivedTables, tables } from "../../../src/store/backup/backup.ts";
import { migrations } from "../../../src/store/database/migrations.ts";
import type { Store } from "../../../src/store/store.ts";
import type { Connection } from "../../../src/store/database/connection.ts";
import { failure } from "../../support/failure.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";
import { everyRow } from "../../support/rows.ts";

/** Adds rows of every kind, with texts that are hard for formats. */
async function fill(store: Store): Promise<void> {
  const { conversation_id } = await store.conversations.begin({ session_id: "s", metadata: { a: "\\N\t\n\0" } });
  await store.messages.storeBulk({
    conversation_id,
    messages: [
      "\\N",
      "tab\tline\nreturn\r\\.",
      "\\.",
      "nul \0 and \ud800",
      "日本語 🙂",
      "storeMessage in src/store",
    ].map((content) => ({ role: "user", content, metadata: { content }, message_id: crypto.randomUUID() })),
  });
  const { conversation_id: gone } = await store.conversations.begin({});
  await store.messages.store({ conversation_id: gone, role: "user", content: "in the trash" });
  await store.conversations.delete({ conversation_id: gone, force: false });
  await store.contexts.set({ name: "c", content: "one", set_active: true });
  await store.contexts.set({ name: "c", content: "two", set_active: true });
  await store.contexts.tie({ folder: "/f", name: "c" });
  await store.results.store({ correlation_id: "k", model: "m", output: "o", duration_seconds: 0.1, conversation_id });
}

/** Appends messages that hardly compress, bypassing the store, which would index every word. */
async function addLarge(connection: Connection, count: number, characters: number): Promise<void> {
  await using sql = connect(connection);
  await sql`with into_conversation as (
      update conversations set last_turn = last_turn + ${count}, message_count = message_count + ${count}
      where id = (select id from conversations where deleted_at is null order by id limit 1) returning id, last_turn
    ) insert into messages (conversation_id, turn_number, role, content)
    select c.id, c.last_turn - n, 'tool', (
      select string_agg(md5(n::text || '-' || i::text), '') from generate_series(1, ${characters / 32}::integer) i
    ) from into_conversation c, generate_series(0, ${count - 1}::integer) n`;
}

/** The schema, sorted. */
async function schema(connection: Connection): Promise<string[]> {
  await using sql = connect(connection);
  const rows: { line: string }[] = await sql`
    select table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable as line
      from information_schema.columns where table_schema = 'public'
    union all select pg_get_indexdef(indexrelid) from pg_index where indrelid::regclass::text !~ '^pg_'
    union all select conrelid::regclass::text || ' ' || pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace
    union all select tgrelid::regclass::text || ' ' || pg_get_triggerdef(oid) || tgenabled::text from pg_trigger where not tgisinternal
    union all select pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
    order by 1`;
  return rows.map((row) => row.line);
}

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}

async function* inChunks(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function piecesOf(bytes: Uint8Array): Promise<ArchivePiece[]> {
  const pieces: ArchivePiece[] = [];
  for await (const piece of unpacked(inChunks(bytes))) pieces.push({ ...piece, bytes: piece.bytes.slice() });
  return pieces;
}

const isOfRows = ({ name }: ArchivePiece) => name.endsWith(".copy");

async function* each(pieces: ArchivePiece[]): AsyncGenerator<ArchivePiece> {
  yield* pieces;
}

for (const from of engines) {
  for (const to of engines) {
    test(`a backup of ${from.name} is restored completely in ${to.name}`, async () => {
      const [source, target] = [await emptyDatabase(from), await emptyDatabase(to)];
      await using store = await testStore(from, { connection: source });
      await fill(store);
      await addLarge(source, 1, 6_000_000);
      const before = await everyRow(source);
      const archive = await bytesOf(await store.backup());
      await using other = await testStore(to, { connection: target });
      const fresh = await schema(target);
      const recovered = await other.recover(inChunks(archive), { force: false });
      expect(recovered.tables).toEqual(tables.map((name) => ({ name, rows: before[name]?.length ?? 0 })));
      expect(await everyRow(target)).toEqual(before);
      expect(await schema(target)).toEqual(fresh);
      await using sql = connect(target);
      const analyzed: { name: string }[] = await sql`select distinct tablename as name from pg_stats
        where schemaname = 'public'`;
      expect(analyzed.map((row) => row.name)).toEqual(expect.arrayContaining(["conversations", "messages"]));
      const hits = await other.search.find({ query: "storeMessage", limit: 5, offset: 0 });
      expect(hits.total).toBe(1);
      // The restored store works: turns continue.
      const conversation_id =
        (await other.conversations.list({ limit: 1, offset: 0, sort_by: "created_at" })).conversations[0]?.id ?? "";
      expect((await other.messages.store({ conversation_id, role: "user", content: "next" })).turn_number).toBe(8);
    });
  }
}

for (const engine of engines.slice(0, 1)) {
  describe("a backup", () => {
    test("omits the numbers of transactions, which are valid only in their cluster", async () => {
      await using store = await testStore(engine);
      const [manifest] = await piecesOf(await bytesOf(await store.backup()));
      const { tables } = JSON.parse(Buffer.from(manifest?.bytes ?? []).toString()) as {
        tables: { name: string; columns: string[] }[];
      };
      const { columns = [] } = tables.find(({ name }) => name === "messages") ?? {};
      expect(columns).toContain("content");
      expect(columns).not.toContain("stored_in");
    });

    test("is written alike, whatever an administrator has set", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      await fill(store);
      const rows = async () => (await piecesOf(await bytesOf(await store.backup()))).filter(isOfRows);
      const before = await rows();
      await using sql = connect(connection);
      for (const setting of ["datestyle = 'SQL, DMY'", "timezone = 'Asia/Kolkata'", "bytea_output = 'escape'"])
        await sql.unsafe(`alter database ${connection.database} set ${setting}`);
      expect(await rows()).toEqual(before);
    });

    test("holds every table of the migrations, except those derived from others", async () => {
      const connection = await emptyDatabase(engine);
      await (await testStore(engine, { connection })).close();
      await using sql = connect(connection);
      const made: { name: string }[] = await sql`select relname as name from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> 'dewey_migrations'`;
      expect(made.map((row) => row.name).toSorted()).toEqual([...tables, ...derivedTables].toSorted());
    });

    test("is a snapshot, whatever is stored meanwhile", async () => {
      const source = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection: source });
      const { conversation_id } = await store.conversations.begin({});
      // More than the streams buffer, so that the archive is still being written.
      await addLarge(source, 4, 4_000_000);
      const stream = await store.backup();
      const reader = stream.getReader();
      const parts = [(await reader.read()).value ?? new Uint8Array()];
      await store.messages.store({ conversation_id, role: "user", content: "too late" });
      await store.contexts.set({ name: "late", content: "too late", set_active: true });
      for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value);
      const connection = await emptyDatabase(engine);
      await using other = await testStore(engine, { connection });
      const { tables } = await other.recover(inChunks(Buffer.concat(parts)), { force: false });
      expect(tables.filter(({ rows }) => rows > 0)).toEqual([
        { name: "dewey_search_language", rows: 1 },
        { name: "dewey_backfill", rows: 1 },
        { name: "conversations", rows: 1 },
        { name: "messages", rows: 4 },
        { name: "message_sections_due", rows: 4 },
      ]);
    });

    test("carries how far the facts of conversations from before are filled in", async () => {
      const source = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection: source });
      await using sql = connect(source);
      const walkedTo: string = Bun.randomUUIDv7();
      await sql`update dewey_backfill set is_done = false, walked_to = ${walkedTo}`;
      const archive = await bytesOf(await store.backup());
      const connection = await emptyDatabase(engine);
      await using other = await testStore(engine, { connection });
      await other.recover(inChunks(archive), { force: false });
      await using recovered = connect(connection);
      expect([...(await recovered`select is_done, walked_to from dewey_backfill`)]).toEqual([
        { is_done: false, walked_to: walkedTo },
      ]);
    });

    test("can be read without Dewey", async () => {
      await using store = await testStore(engine);
      await fill(store);
      const folder = mkdtempSync(join(tmpdir(), "dewey-backup-"));
      try {
        writeFileSync(join(folder, "backup.tar.zst"), await bytesOf(await store.backup()));
        const shell = (line: string) =>
          Bun.spawnSync(["/bin/bash", "-c", `set -o pipefail; ${line}`], { cwd: folder, stderr: "pipe" });
        const unpack =
          Bun.which("zstd") === null
            ? 'tar -xf <(bun -e \'process.stdout.write(Bun.zstdDecompressSync(require("fs").readFileSync("backup.tar.zst")))\')'
            : "zstd -dc backup.tar.zst | tar -xf -";
        const unpacking = shell(unpack);
        expect([unpacking.exitCode, unpacking.stderr.toString()]).toEqual([0, ""]);
        expect(shell("sha256sum --quiet -c SHA256SUMS").exitCode).toBe(0);
        expect(shell("cat messages/*.copy | wc -l").stdout.toString().trim()).toBe("7");
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    test("that is not read to its end blocks nothing", async () => {
      const connection = await emptyDatabase(engine);
      await using store = await testStore(engine, { connection });
      await fill(store);
      await addLarge(connection, 2, 4_000_000);
      await (await store.backup()).cancel();
      const reader = (await store.backup()).getReader();
      await reader.read();
      await reader.cancel();
      // Its transaction has ended: a statement that would wait for it proceeds.
      await using sql = connect(connection);
      await sql`set lock_timeout = '20s'`;
      await sql`alter table messages add column passing text`;
    });
  });

  describe("recovering", () => {
    test("refuses a store that is not empty, and replaces its contents with force", async () => {
      await using store = await testStore(engine);
      await fill(store);
      const archive = await bytesOf(await store.backup());
      const connection = await emptyDatabase(engine);
      await using other = await testStore(engine, { connection });
      await other.contexts.set({ name: "mine", content: "x", set_active: true });
      const before = await everyRow(connection);
      expect(await failure(other.recover(inChunks(archive), { force: false }))).toMatchObject({
        code: "conflict",
        message: expect.stringContaining("startup contexts"),
        field: "force",
      });
      expect(await everyRow(connection)).toEqual(before);
      await other.recover(inChunks(archive), { force: true });
      expect((await other.contexts.list({ include_content: false })).map((each) => each.name)).toEqual(["c"]);
    });

    test("refuses a store with any kind of users' data, and names it", async () => {
      await using empty = await testStore(engine);
      const archive = await bytesOf(await empty.backup());
      const message = { role: "user", content: "mine" };
      const result = { correlation_id: "c", model: "m", output: "mine" };
      const put: [string, (store: Store) => Promise<unknown>][] = [
        ["conversations", (store) => store.messages.storeBulk({ messages: [message] })],
        ["fiedler results", (store) => store.results.store(result)],
        [
          "startup context history",
          async (store) => {
            await store.contexts.set({ name: "gone", content: "mine", set_active: true });
            await store.contexts.delete({ name: "gone", force: true });
          },
        ],
      ];
      for (const [what, into] of put) {
        await using store = await testStore(engine);
        await into(store);
        expect(await failure(store.recover(inChunks(archive), { force: false }))).toMatchObject({
          code: "conflict",
          message: expect.stringContaining(`there are ${what}`),
        });
      }
    });

    test("refuses an archive changed or cut off inside the compression", async () => {
      await using store = await testStore(engine);
      await fill(store);
      const tar = Bun.zstdDecompressSync(await bytesOf(await store.backup()));
      await using other = await testStore(engine);
      const refused = async (change: (tar: Buffer<ArrayBuffer>) => Buffer<ArrayBuffer>) =>
        failure(other.recover(inChunks(Bun.zstdCompressSync(change(Buffer.from(tar)))), { force: true }));
      const replaced = (from: string, to: string) => (bytes: Buffer<ArrayBuffer>) => {
        bytes.write(to, bytes.indexOf(from), "latin1");
        return bytes;
      };
      const damaged = { code: "invalid", message: "the backup is damaged or cut off" };
      expect(await refused(replaced("in the trash", "in the TRASH"))).toMatchObject(damaged);
      expect(await refused(replaced("messages/0000", "messages/1000"))).toMatchObject(damaged);
      // A damaged manifest is not taken for a newer Dewey's.
      expect(await refused(replaced("0001_schema", "0001_schemb"))).toMatchObject(damaged);
      expect(await refused(replaced('"version": 1', '"version": 9'))).toMatchObject(damaged);
      for (const blocks of [1, 2, 3]) {
        const cut = await refused((bytes) => bytes.subarray(0, -512 * blocks));
        expect(cut).toMatchObject({ code: "invalid", message: "the backup is cut off" });
      }
      const [manifest] = await piecesOf(await bytesOf(await store.backup()));
      const huge = [manifest!, { name: "messages/00000001.copy", bytes: Buffer.alloc(4 * 1024 * 1024 + 1) }];
      expect(await failure(other.recover(packed(each(huge)), { force: true }))).toMatchObject({
        code: "invalid",
        message: "this is not a Dewey backup",
      });
    });

    test("changes nothing when the archive is cut off, damaged or foreign", async () => {
      await using store = await testStore(engine);
      await fill(store);
      const archive = await bytesOf(await store.backup());
      const pieces = (await piecesOf(archive)).filter((piece) => piece.name !== "SHA256SUMS");
      const connection = await emptyDatabase(engine);
      await using other = await testStore(engine, { connection });
      await other.contexts.set({ name: "mine", content: "x", set_active: true });
      const before = await everyRow(connection);
      const refused = async (bytes: Uint8Array) => {
        const error = await failure(other.recover(inChunks(bytes), { force: true }));
        expect(await everyRow(connection)).toEqual(before);
        return error;
      };
      const damage = (offset: number) => {
        const bytes = archive.slice();
        bytes[offset] = (bytes[offset] ?? 0) ^ 0xff;
        return bytes;
      };
      for (const length of [0, 3, 100, Math.floor(archive.length / 2), archive.length - 1]) {
        expect(await refused(archive.slice(0, length))).toMatchObject({ code: "invalid" });
      }
      for (const part of [0.1, 0.5, 0.9]) {
        expect(await refused(damage(Math.floor(archive.length * part)))).toMatchObject({ code: "invalid" });
      }
      expect(await refused(Buffer.from("select 1;".repeat(1000)))).toMatchObject({
        code: "invalid",
        message: "this is not a Dewey backup",
      });
      const rewritten = async (change: (pieces: ArchivePiece[]) => ArchivePiece[]) =>
        bytesOf(packed(each(change(pieces.map((piece) => ({ ...piece }))))));
      const withManifest = (change: (manifest: Record<string, unknown>) => void) =>
        rewritten(([manifest, ...rest]) => {
          const value = JSON.parse(Buffer.from(manifest?.bytes ?? []).toString()) as Record<string, unknown>;
          change(value);
          return [{ name: "manifest.json", bytes: Buffer.from(JSON.stringify(value)) }, ...rest];
        });
      expect(await refused(await rewritten((all) => all.slice(1)))).toMatchObject({ code: "invalid" });
      expect(await refused(await rewritten((all) => all.slice(0, -1)))).toMatchObject({ code: "invalid" });
      expect(await refused(await withManifest((manifest) => (manifest["version"] = 2)))).toMatchObject({
        code: "conflict",
      });
      expect(await refused(await withManifest((manifest) => (manifest["migrations"] = ["9999_later"])))).toMatchObject({
        code: "conflict",
        message: expect.stringContaining("9999_later"),
      });
      expect(
        await refused(
          await withManifest(
            (manifest) => (manifest["tables"] = [{ name: "pg_authid", columns: ["rolname"], rows: 0 }]),
          ),
        ),
      ).toMatchObject({ code: "invalid" });
      const changedTables = (change: (table: { name: string; columns: string[]; rows: number }) => void) =>
        withManifest((manifest) => (manifest["tables"] as Parameters<typeof change>[0][]).forEach(change));
      const damages: [string, Uint8Array][] = [
        ["a column that there is not", await changedTables(({ columns }) => columns.push("nothing"))],
        ["no columns", await changedTables(({ columns }) => columns.splice(0))],
        ["rows that are no number", await changedTables((table) => (table.rows = "x" as never))],
        ["no time", await withManifest((manifest) => (manifest["made_at"] = "yesterday"))],
        ["a table twice", await withManifest(({ tables }) => (tables as unknown[]).push((tables as unknown[])[0]))],
        [
          "numbers of transactions",
          await changedTables(({ name, columns }) => {
            if (name === "startup_context_folders") columns.push("stored_in");
          }),
        ],
        ["no version", await withManifest((manifest) => delete manifest["version"])],
        ["a migration too few", await withManifest((manifest) => (manifest["migrations"] as string[]).splice(1, 1))],
        ["no migrations", await withManifest((manifest) => (manifest["migrations"] = []))],
        ["no JSON", await rewritten(([, ...rest]) => [{ name: "manifest.json", bytes: Buffer.from("{") }, ...rest])],
        [
          "no language",
          await rewritten((all) =>
            all.map((piece) => (piece.name.startsWith("dewey_search") ? { ...piece, bytes: Buffer.from("") } : piece)),
          ),
        ],
      ];
      for (const [what, bytes] of damages) {
        const { code, message } = (await refused(bytes)) as { code: string; message: string };
        expect([what, code, message]).toEqual([what, "invalid", expect.stringMatching(/damaged|holds 0 of/)]);
      }
      const badRows = await rewritten((all) =>
        all.map((piece) => (piece.name.startsWith("conversations/") ? { ...piece, bytes: Buffer.from("x\n") } : piece)),
      );
      expect(await refused(badRows)).toMatchObject({ code: "invalid", message: expect.stringContaining("damaged") });
      // The undamaged archive is accepted afterwards.
      await other.recover(inChunks(archive), { force: true });
    });

    test("drops search languages that the database does not know, with a warning, and searches on", async () => {
      await using store = await testStore(engine);
      await store.messages.storeBulk({ messages: [{ role: "user", content: "marmalade for breakfast" }] });
      const all = (await piecesOf(await bytesOf(await store.backup()))).filter(({ name }) => name !== "SHA256SUMS");
      for (const [language, earlier, now] of [
        ["english", "{klingon}", "english"],
        ["german", "{klingon,french}", "german"],
        ["klingon", "{}", "english"],
        ["klingon", "{vulcan,german}", "english"],
      ] as const) {
        const changed = all.map((piece) => {
          if (!piece.name.startsWith("dewey_search_language/")) return piece;
          const fields = Buffer.from(piece.bytes).toString().split("\t");
          return { ...piece, bytes: Buffer.from(["t", language, earlier, ...fields.slice(3)].join("\t")) };
        });
        await using other = await testStore(engine);
        const { warnings } = await other.recover(packed(each(changed)), { force: true });
        const unknown: string[] = `${language} ${earlier}`.match(/klingon|vulcan/g) ?? [];
        expect(warnings.map((each) => /"(\w+)"/.exec(each)?.[1] ?? "")).toEqual(unknown);
        const state = await other.reindexer.state();
        expect([state.language, state.under_way, state.earlier.some((each) => unknown.includes(each))]).toEqual([
          now,
          true,
          false,
        ]);
        expect((await other.search.find({ query: "marmalade", limit: 5, offset: 0 })).total).toBe(1);
      }
    });

    test("migrates the backup of an older Dewey", async () => {
      const connection = await emptyDatabase(engine);
      await using sql = connect(connection);
      const [first] = migrations;
      await sql.unsafe(first?.sql ?? "");
      await sql.unsafe("create table dewey_migrations (name text primary key, applied_at timestamptz default now())");
      await sql`insert into dewey_migrations (name) values (${first?.name})`;
      await sql`insert into startup_contexts (name, content, is_active) values ('old', 'text', true)`;
      await sql`insert into conversations (session_id) values ('old')`;
      // As that Dewey wrote it: only its own tables and columns.
      const names = ["conversations", "messages", "startup_contexts", "fiedler_results"];
      const described = [];
      const rows: ArchivePiece[] = [];
      for (const name of names) {
        const columns: { name: string }[] = await sql`select attname as name from pg_attribute
          where attrelid = ${name}::regclass and attnum > 0 and not attisdropped`;
        const bytes = await new Response(sql.unsafe(`copy ${name} to stdout`).readable()).bytes();
        described.push({ name, columns: columns.map((column) => column.name), rows: bytes.length > 0 ? 1 : 0 });
        if (bytes.length > 0) rows.push({ name: `${name}/00000001.copy`, bytes });
      }
      const manifest = {
        format: "dewey-backup",
        version: 1,
        dewey: "0.0.1",
        postgres: "15.0",
        made_at: new Date().toISOString(),
        migrations: [first?.name],
        tables: described,
      };
      const archive = await bytesOf(
        packed(each([{ name: "manifest.json", bytes: Buffer.from(JSON.stringify(manifest)) }, ...rows])),
      );
      await using other = await testStore(engine, { connection: await emptyDatabase(engine) });
      await other.recover(inChunks(archive), { force: false });
      expect(await other.contexts.history({ name: "old", limit: 1, offset: 0 })).toMatchObject({
        versions: [{ version: 1, change: "set" }],
      });
      expect((await other.conversations.list({ limit: 1, offset: 0, sort_by: "updated_at" })).total).toBe(1);
      await other.conversations.begin({});
    });
  });
}
