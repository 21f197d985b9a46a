// Generates messages, the same for the same seed, with the size and shape that search has to handle. Numbers without an
// explanation are close to counts from transcripts of real conversations (LoCoMo): half of the words are stop words, the
// median message has 22 words, the most common other words occur in one message of ten, the hundredth in one of fifty.

/** Words in PostgreSQL's English stop list, the most common first. */
const STOP_WORDS =
  "the i and you to a it is of that in was so for my have me on be with but they this are we your just do at not what all can there if or about from when how she he as did out no them up more some then who will by".split(
    " ",
  );
const STOP_SHARE = 0.49;

/** Zipf-Mandelbrot: the frequency of a word is proportional to 1 / (rank + SHIFT) ^ EXPONENT. */
const VOCABULARY = 200_000;
const SHIFT = 25;
const EXPONENT = 1.2;

/** Subjects: words of one topic, and words specific to the conversation, recur. */
const TOPICS = 3000;
const TOPIC_WORDS = 300;
const TOPIC_SHARE = 0.25;
const OWN_WORDS = 30;
const OWN_SHARE = 0.15;

/** Log-normal lengths in words; tool output is longer. */
const SPOKEN = { median: 20, sigma: 0.8 };
const PRINTED = { median: 60, sigma: 1.2 };
const MAX_WORDS = 20_000;
const TURNS = { median: 30, sigma: 1 };

/** Concurrent conversations: their messages are interleaved in the table. */
const OPEN_CONVERSATIONS = 20;
/** One conversation of three is a recording of tool calls with the proxy's metadata; some others have a little metadata. */
const RECORDED_SHARE = 1 / 3;
const NOTED_SHARE = 0.1;
const TOOLS = 50;
const UPSTREAMS = 100;
const LATENCY_MS = { median: 50, sigma: 2 };
/** The first session has about one conversation of ten. */
const SESSIONS_PER_CONVERSATION = 0.2;
/** One message of ten contains a word that no other contains. */
const UNIQUE_SHARE = 0.1;
const QUESTION_SHARE = 0.15;
const FIRST_TIME_MS = Date.UTC(2024, 0, 1);
/** About when the last message was said. */
export const LAST_TIME_MS = Date.UTC(2026, 0, 1);

export interface TalkConversation {
  id: string;
  sessionId: string;
  timeMs: number;
}

export interface TalkMessage {
  id: string;
  conversation: TalkConversation;
  turn: number;
  role: "user" | "assistant" | "tool";
  content: string;
  metadata: Record<string, string | number> | null;
  timeMs: number;
}

/** Seeded random numbers from 0 to 1 (Marsaglia's xorshift). */
type Random = () => number;

function seeded(seed: number): Random {
  let state = Math.imul(seed, 0x9e37_79b9) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const CONSONANTS = "bdfghjklmnprstvwz";
const VOWELS = "aeiou";
/** No English suffix ends in these letters, so the stemmer leaves every word unchanged. */
const FINALS = "kbpfx";

/** The word of a rank, from 0; frequent words are shorter. */
export function wordOf(rank: number): string {
  const syllables = rank < 30_000 ? 2 : 3;
  const count = (CONSONANTS.length * VOWELS.length) ** syllables * FINALS.length;
  // A step coprime to the count visits every word once, in no visible order.
  let place = (rank * 7919) % count;
  let word = FINALS[place % FINALS.length] ?? "";
  place = Math.floor(place / FINALS.length);
  for (let syllable = 0; syllable < syllables; syllable += 1) {
    word = `${CONSONANTS[place % CONSONANTS.length]}${VOWELS[Math.floor(place / CONSONANTS.length) % VOWELS.length]}${word}`;
    place = Math.floor(place / (CONSONANTS.length * VOWELS.length));
  }
  return word;
}

/** Draws ranks with the distribution of words. */
function zipfMandelbrot(count: number, shift: number, exponent: number): (random: Random) => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank += 1) {
    sum += 1 / (rank + 1 + shift) ** exponent;
    sums[rank] = sum;
  }
  return (random) => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

function logNormal(random: Random, { median, sigma }: { median: number; sigma: number }, most: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.max(1, Math.min(most, Math.round(median * Math.exp(sigma * normal))));
}

/** A conversation in progress, with its subjects. */
interface Open {
  conversation: TalkConversation;
  turn: number;
  turns: number;
  topic: number;
  own: number[];
  isRecorded: boolean;
  upstream: string;
}

/** Generates this many messages, in order of time. */
export function* talk(count: number, seed = 1): Generator<TalkMessage> {
  const random = seeded(seed);
  const words = Array.from({ length: VOCABULARY }, (_, rank) => wordOf(rank));
  const anyWord = zipfMandelbrot(VOCABULARY, SHIFT, EXPONENT);
  const anyStopWord = zipfMandelbrot(STOP_WORDS.length, 2.7, 1);
  const inTopic = zipfMandelbrot(TOPIC_WORDS, 2.7, 1);
  const anySession = zipfMandelbrot(Math.ceil((count / TURNS.median) * SESSIONS_PER_CONVERSATION) + 1, 0, 1);
  const anyTool = zipfMandelbrot(TOOLS, 2, 1);
  const anyUpstream = zipfMandelbrot(UPSTREAMS, 2, 1);
  const topics = Array.from({ length: TOPICS }, () => Array.from({ length: TOPIC_WORDS }, () => anyWord(random)));
  const pick = (length: number) => Math.floor(random() * length);

  const open = (timeMs: number): Open => ({
    conversation: { id: uuid(timeMs, random), sessionId: `session-${anySession(random)}`, timeMs },
    turn: 0,
    turns: logNormal(random, TURNS, 5000),
    topic: pick(TOPICS),
    own: Array.from({ length: OWN_WORDS }, () => anyWord(random)),
    isRecorded: random() < RECORDED_SHARE,
    upstream: `server-${anyUpstream(random)}`,
  });
  const word = ({ topic, own }: Open): string => {
    if (random() < STOP_SHARE) return STOP_WORDS[anyStopWord(random)] ?? "";
    const choice = random();
    const rank =
      choice < TOPIC_SHARE
        ? topics[topic]?.[inTopic(random)]
        : choice < TOPIC_SHARE + OWN_SHARE
          ? own[pick(OWN_WORDS)]
          : anyWord(random);
    return words[rank ?? 0] ?? "";
  };
  const content = (about: Open, isPrinted: boolean): string => {
    const length = logNormal(random, isPrinted ? PRINTED : SPOKEN, MAX_WORDS);
    let text = word(about);
    for (let index = 1; index < length; index += 1) text += `${index % 12 === 0 ? "," : ""} ${word(about)}`;
    if (random() < UNIQUE_SHARE) text += ` request_${Math.floor(random() * 2 ** 32).toString(36)}`;
    return `${text}${random() < QUESTION_SHARE ? "?" : "."}`;
  };
  const metadata = ({ isRecorded, upstream, turn }: Open): TalkMessage["metadata"] => {
    if (!isRecorded) return random() < NOTED_SHARE ? { topic: upstream } : null;
    const isCall = turn % 2 === 1;
    return {
      source: "proxy",
      upstream,
      method: "tools/call",
      tool: `tool_${anyTool(random)}`,
      id: turn,
      direction: isCall ? "up" : "down",
      ...(isCall ? {} : { outcome: "success", duration_ms: logNormal(random, LATENCY_MS, 600_000) }),
    };
  };

  const going: Open[] = Array.from({ length: OPEN_CONVERSATIONS }, () => open(FIRST_TIME_MS));
  for (let made = 0; made < count; made += 1) {
    const timeMs = Math.floor(FIRST_TIME_MS + ((LAST_TIME_MS - FIRST_TIME_MS) * made) / count);
    const place = pick(going.length);
    let about = going[place];
    if (!about || about.turn >= about.turns) {
      about = open(timeMs);
      going[place] = about;
    }
    about.turn += 1;
    const isPrinted = about.isRecorded && about.turn % 3 === 0;
    yield {
      id: uuid(timeMs, random),
      conversation: about.conversation,
      turn: about.turn,
      role: isPrinted ? "tool" : about.turn % 2 === 1 ? "user" : "assistant",
      content: content(about, isPrinted),
      metadata: metadata(about),
      timeMs,
    };
  }
}

/** A UUIDv7 from seeded random numbers. */
function uuid(timeMs: number, random: Random): string {
  const hex = (bits: number) =>
    Math.floor(random() * 2 ** bits)
      .toString(16)
      .padStart(bits / 4, "0");
  const time = timeMs.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(12)}-8${hex(12)}-${hex(24)}${hex(24)}`;
}
