import { basename } from "node:path";
import { parseArgs } from "node:util";
import type { MeaningState } from "../../src/store/meaning/meaning.ts";
import { startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { connect } from "../support/postgres.ts";
import { Rpc } from "../support/rpc.ts";
import { embeddedConnection } from "./support/dewey.ts";
import { toolResults } from "./support/real-files.ts";

// `bun run bench:search FILE`: quality of `dewey_search` of the compiled binary on questions with known answers.
// FILE holds `{conversations: [{id, sessions: [{turns: [{id, speaker, role, text}]}]}], questions: [{conversation, kind,
// question, evidence: [turn ids]}]}`; `speaker`, `role` and `kind` may be absent. A session becomes a conversation, and all
// sessions of one pair share a session_id. Each question is asked with that session_id, and of the whole store.
// `--beside FILE …` stores others beside it, and `--long N` that many tool results of about 21 kB, made of files of this
// machine. Recall is the mean over the kinds of questions, and is shown for each kind, too, when there are several.
// A FILE without conversations holds questions on those beside it, each with `corpus`, the first word of the other file's
// name, and `lang`; any one of its turns counts as found. `--embeddings URL` searches by meaning too, with `--model NAME`,
// once every message has its vectors; `--mode MODE …` chooses what finds, and each is measured.

interface Corpus {
  conversations?: { id: number; sessions: { turns: Turn[] }[] }[];
  questions: Question[];
}

interface Question {
  conversation: number;
  corpus?: string;
  kind?: string;
  lang?: string;
  question: string;
  evidence: string[];
}

interface Turn {
  id: string;
  speaker?: string;
  role?: string;
  text: string;
}

const CUTS = [1, 5, 10, 20] as const;
const MESSAGES_A_CALL = 500;
const RESULTS_A_SESSION = 150;
const RESULTS_A_CALL = 10;
/** What was stored last is queued, and the queue counted, within this time. */
const SETTLED_MS = 75_000;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    beside: { type: "string", multiple: true, default: [] },
    long: { type: "string", default: "0" },
    embeddings: { type: "string" },
    model: { type: "string", default: "all-minilm-l6-v2" },
    mode: { type: "string", multiple: true },
  },
});
const [file] = positionals;
if (file === undefined) {
  console.error(
    "usage: bun run bench:search FILE [--beside FILE …] [--long N] [--embeddings URL [--model NAME]] [--mode MODE …]",
  );
  process.exit(2);
}
const corpus = (await Bun.file(file).json()) as Corpus;
using home = temporaryHome();
const embeddings = options.embeddings;
const settings =
  embeddings === undefined ? {} : { DEWEY_EMBEDDINGS_URL: embeddings, DEWEY_EMBEDDINGS_MODEL: options.model };
const { running, url } = await startServe(home.path, settings);
const dewey = await Rpc.open(url);
await dewey.initialize();
const turnOf = new Map<string, string>();
await load(corpus, "asked");
for (const other of options.beside) await load((await Bun.file(other).json()) as Corpus, nameOf(other));
await loadLong(Number(options.long));
if (embeddings !== undefined) await allEmbedded();
await gatherStatistics();
console.log(["asked of", "questions", ...CUTS.map((cut) => `recall@${cut}`), "nDCG@10", "p50 ms", "p95 ms"].join("\t"));
for (const mode of options.mode ?? [undefined]) {
  const by = mode === undefined ? "" : ` by ${mode}`;
  await measure(`a session${by}`, true, mode);
  await measure(`the whole store${by}`, false, mode);
}
dewey.close();
await running.stop();

/** The first word of a file's name. */
function nameOf(path: string): string {
  return /[a-z]+/.exec(basename(path))?.[0] ?? "";
}

/** Gathers the statistics of words, as autovacuum does within a minute: the whole store is searched worse without. */
async function gatherStatistics(): Promise<void> {
  await using sql = connect(embeddedConnection(home.path));
  await sql.unsafe("vacuum analyze messages");
}

/** Waits until every message has its vectors, and no more come; tells how fast that was. */
async function allEmbedded(): Promise<void> {
  const startedMs = performance.now();
  let last = { passages: 0, atMs: startedMs };
  for (;;) {
    const health = (await (await fetch(`${url.replace("ws", "http")}/healthz`)).json()) as { meaning: MeaningState };
    const { complete, queued, passages, reason } = health.meaning;
    if (passages > last.passages) last = { passages, atMs: performance.now() };
    if (complete && queued === 0 && performance.now() - last.atMs > SETTLED_MS) {
      const seconds = (last.atMs - startedMs) / 1000;
      return console.log(`embedded ${passages} passages in ${seconds.toFixed(0)} s after they were stored`);
    }
    if (reason !== undefined) console.error(reason);
    await Bun.sleep(1000);
  }
}

/** Stores a corpus, and remembers the turn of each message. */
async function load({ conversations = [] }: Corpus, name: string): Promise<void> {
  for (const { id, sessions } of conversations) {
    for (const { turns } of sessions) {
      const { conversation_id } = await dewey.tool("dewey_begin_conversation", { session_id: `${name} ${id}` });
      for (let at = 0; at < turns.length; at += MESSAGES_A_CALL) {
        const messages = turns.slice(at, at + MESSAGES_A_CALL).map((turn) => {
          const message_id = crypto.randomUUID();
          turnOf.set(message_id, `${name} ${id} ${turn.id}`);
          const content = turn.speaker === undefined ? turn.text : `${turn.speaker}: ${turn.text}`;
          return { role: turn.role ?? "user", content, message_id };
        });
        await dewey.tool("dewey_store_messages_bulk", { conversation_id, messages });
      }
    }
  }
}

async function loadLong(count: number): Promise<void> {
  const results = toolResults(count);
  for (let at = 0; at < results.length; at += RESULTS_A_CALL) {
    const messages = results.slice(at, at + RESULTS_A_CALL).flatMap((content, index) => [
      { role: "user", content: `look at part ${at + index} and tell me what it does` },
      { role: "tool", content },
    ]);
    const session_id = `tools ${Math.floor(at / RESULTS_A_SESSION)}`;
    await dewey.tool("dewey_store_messages_bulk", { session_id, messages });
  }
}

async function measure(what: string, isScoped: boolean, mode: string | undefined): Promise<void> {
  const recalls = new Map<string, number[][]>();
  let gain = 0;
  const latencies: number[] = [];
  const how = mode === undefined ? {} : { mode };
  for (const { conversation, corpus: beside = "asked", kind, lang, question, evidence } of corpus.questions) {
    const startedMs = performance.now();
    const scope = isScoped ? { session_id: `${beside} ${conversation}` } : {};
    const reply = await dewey.tool("dewey_search", { query: question, limit: 20, ...scope, ...how });
    latencies.push(performance.now() - startedMs);
    const { meaning } = reply as { meaning?: string };
    if (meaning !== undefined) throw new Error(`words only: ${meaning}`);
    const found = (reply["results"] as { message_id: string }[]).map((hit) => turnOf.get(hit.message_id) ?? "");
    const wanted = new Set(evidence.map((turn) => `${beside} ${conversation} ${turn}`));
    const needed = lang === undefined ? wanted.size : 1;
    const recall = CUTS.map((cut) =>
      Math.min(1, found.slice(0, cut).filter((turn) => wanted.has(turn)).length / needed),
    );
    const name = kind ?? lang ?? "";
    recalls.set(name, [...(recalls.get(name) ?? []), recall]);
    gain +=
      discountedGain(found.slice(0, 10).map((turn) => wanted.has(turn))) /
      discountedGain(Array.from({ length: Math.min(10, wanted.size) }, () => true));
  }
  const mean = (of: number[]) => of.reduce((sum, each) => sum + each, 0) / of.length;
  const means = (all: number[][]) => CUTS.map((_, cut) => mean(all.map((each) => each[cut] ?? 0)));
  const kinds = [...recalls].map(([name, all]) => ({ name, count: all.length, figures: means(all) }));
  const ofKinds = CUTS.map((_, cut) => mean(kinds.map(({ figures }) => figures[cut] ?? 0)));
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)]?.toFixed(1);
  const shown = (figures: number[]) => figures.map((each) => each.toFixed(3));
  console.log(
    [what, corpus.questions.length, ...shown([...ofKinds, gain / corpus.questions.length]), at(0.5), at(0.95)].join(
      "\t",
    ),
  );
  if (kinds.length > 1)
    for (const { name, count, figures } of kinds) console.log([`  ${name}`, count, ...shown(figures)].join("\t"));
}

function discountedGain(relevant: boolean[]): number {
  return relevant.reduce((sum, isRelevant, index) => sum + (isRelevant ? 1 / Math.log2(index + 2) : 0), 0);
}
