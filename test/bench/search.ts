import { startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import { Rpc } from "../support/rpc.ts";

// `bun run bench:search FILE`: quality of `dewey_search` of the compiled binary on questions with known answers.
// FILE holds `{conversations: [{id, sessions: [{turns: [{id, speaker, text}]}]}], questions: [{conversation, question,
// evidence: [turn ids]}]}`. A session becomes a conversation, all sessions of one pair share a session_id, and each
// question is asked with that session_id.

interface Corpus {
  conversations: { id: number; sessions: { turns: { id: string; speaker: string; text: string }[] }[] }[];
  questions: { conversation: number; question: string; evidence: string[] }[];
}

const CUTS = [1, 5, 10, 20] as const;

const [file] = process.argv.slice(2);
if (file === undefined) {
  console.error("usage: bun run bench:search FILE");
  process.exit(2);
}
const corpus = (await Bun.file(file).json()) as Corpus;
using home = temporaryHome();
const { running, url } = await startServe(home.path);
const dewey = await Rpc.open(url);
await dewey.initialize();
const turnOf = await load();
await measure();
dewey.close();
await running.stop();

/** Stores the corpus. Returns the turn id of each message. */
async function load(): Promise<Map<string, string>> {
  const turns = new Map<string, string>();
  for (const conversation of corpus.conversations) {
    for (const { turns: said } of conversation.sessions) {
      const messages = said.map((turn) => ({
        role: "user",
        content: `${turn.speaker}: ${turn.text}`,
        message_id: crypto.randomUUID(),
      }));
      await dewey.tool("dewey_store_messages_bulk", { session_id: `${conversation.id}`, messages });
      for (const [index, turn] of said.entries()) turns.set(messages[index]?.message_id ?? "", turn.id);
    }
  }
  return turns;
}

async function measure(): Promise<void> {
  const recall = CUTS.map(() => 0);
  let gain = 0;
  const latencies: number[] = [];
  for (const { conversation, question, evidence } of corpus.questions) {
    const startedMs = performance.now();
    const reply = await dewey.tool("dewey_search", { query: question, session_id: `${conversation}`, limit: 20 });
    latencies.push(performance.now() - startedMs);
    const found = (reply["results"] as { message_id: string }[]).map((hit) => turnOf.get(hit.message_id) ?? "");
    const wanted = new Set(evidence);
    for (const [index, cut] of CUTS.entries()) {
      recall[index] =
        (recall[index] ?? 0) + found.slice(0, cut).filter((turn) => wanted.has(turn)).length / wanted.size;
    }
    gain +=
      discountedGain(found.slice(0, 10).map((turn) => wanted.has(turn))) /
      discountedGain(Array.from({ length: Math.min(10, wanted.size) }, () => true));
  }
  const mean = (sum: number) => (sum / corpus.questions.length).toFixed(3);
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)]?.toFixed(1);
  console.log(["questions", ...CUTS.map((cut) => `recall@${cut}`), "nDCG@10", "p50 ms", "p95 ms"].join("\t"));
  console.log([corpus.questions.length, ...recall.map(mean), mean(gain), at(0.5), at(0.95)].join("\t"));
}

function discountedGain(relevant: boolean[]): number {
  return relevant.reduce((sum, isRelevant, index) => sum + (isRelevant ? 1 / Math.log2(index + 2) : 0), 0);
}
