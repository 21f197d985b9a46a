/** What a model wants before each text, so that it knows queries from documents. */
export interface Prefixes {
  query: string;
  document: string;
}

interface Family extends Prefixes {
  /** A part of its models' names, in small letters. */
  name: RegExp;
}

const PLAIN: Prefixes = { query: "", document: "" };

/**
 * Models that are trained with prefixes and find little without. Each is from the model's own card; the first that matches
 * counts.
 */
const families: Family[] = [
  // https://huggingface.co/intfloat/e5-mistral-7b-instruct: documents have none.
  {
    name: /e5.*instruct/,
    query: "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ",
    document: "",
  },
  // https://huggingface.co/intfloat/multilingual-e5-small: "each input text should start with query: or passage: ".
  { name: /(^|[^a-z0-9])e5([^a-z0-9]|$)/, query: "query: ", document: "passage: " },
  // https://huggingface.co/nomic-ai/nomic-embed-text-v1.5: "the text prompt must include a task instruction prefix".
  { name: /nomic-embed-text/, query: "search_query: ", document: "search_document: " },
  // https://huggingface.co/BAAI/bge-m3: "no need to add instructions".
  { name: /bge-m3/, ...PLAIN },
  // https://huggingface.co/BAAI/bge-large-zh-v1.5, in Chinese.
  { name: /bge.*-zh/, query: "为这个句子生成表示以用于检索相关文章：", document: "" },
  // https://huggingface.co/BAAI/bge-base-en-v1.5: queries only.
  { name: /(^|[^a-z0-9])bge/, query: "Represent this sentence for searching relevant passages: ", document: "" },
  // https://huggingface.co/Qwen/Qwen3-Embedding-0.6B: queries only, with this task as the default.
  {
    name: /qwen3-embedding/,
    query: "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
    document: "",
  },
  // https://ai.google.dev/gemma/docs/embeddinggemma/model_card: prompts for retrieval.
  { name: /embedding-?gemma/, query: "task: search result | query: ", document: "title: none | text: " },
];

/** The prefixes of a model by its name, whoever serves it: `nomic-embed-text:latest`, `intfloat/e5-base-v2` … */
export function prefixesOf(model: string): Prefixes {
  const name = model.toLowerCase();
  const { query, document } = families.find((family) => family.name.test(name)) ?? PLAIN;
  return { query, document };
}
