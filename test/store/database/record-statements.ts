import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrations } from "../../../src/store/database/migrations.ts";

// `bun run statements` records the statements that this build sends, for the promise that it serves on the schema of the next
// version (promise.test.ts). It runs the tests of the store on Debian's PostgreSQL, which logs every statement. Run it before
// adding a migration; the file has the name of the newest one.

const root = join(import.meta.dir, "../../..");
/** The tests of what a running server sends; those of backups and engines make and drop schemas. */
const TESTS = ["test/store/append", "test/store/search", "test/tools", ...storeTests()];
/** Longer statements come from tests of large numbers of values, and shorter ones like them are there. */
const MAX_CHARACTERS = 10_000;

const folder = mkdtempSync(join(tmpdir(), "dewey-statements-"));
const log = join(folder, "log");
const env = { ...process.env, DEWEY_TEST_STATEMENTS: log };
Bun.spawnSync([process.execPath, "test", ...TESTS], { cwd: root, env, stdout: "inherit", stderr: "inherit" });
const statements = statementsIn(readFileSync(log, "utf8"));
const file = join(import.meta.dir, "statements", `${migrations.at(-1)?.name}.json`);
writeFileSync(file, `${JSON.stringify(statements, null, 1)}\n`);
console.log(`${file}: ${statements.length} statements`);
rmSync(folder, { recursive: true });

function storeTests(): string[] {
  return [...new Bun.Glob("test/store/*.test.ts").scanSync(root)].map((file) => `./${file}`);
}

/** The statements with parameters: those of tests themselves, and of PostgreSQL's programs, mostly have none. */
function statementsIn(text: string): string[] {
  const found = text
    .split("@@@ ")
    .flatMap((entry) => /^LOG: {2}duration: [\d.]+ ms {2}execute [^:]*: (.*)$/s.exec(entry)?.[1] ?? [])
    .map((statement) => statement.replaceAll("\n\t", "\n").trim())
    .filter(
      (statement) => statement.length <= MAX_CHARACTERS && /^(select|insert|update|delete|with)\b/i.test(statement),
    );
  // One of each shape: searches differ in their words and numbers.
  const shapes = new Map(found.map((statement) => [shapeOf(statement), statement]));
  return [...shapes.values()].toSorted();
}

function shapeOf(statement: string): string {
  const plain = statement
    .replaceAll(/'(?:[^']|'')*'/g, "''")
    .replaceAll(/\b\d+(\.\d+)?\b/g, "0")
    .replaceAll(/\s+/g, " ");
  // As many terms as a search has words, or values a filter has.
  return plain.replaceAll(/([^,()]*\([^()]*\)[^,()]*)(?:, \1)+/g, "$1").replaceAll(/(\$0)(?:, \$0)+/g, "$1");
}
