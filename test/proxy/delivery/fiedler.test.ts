import { expect, test } from "bun:test";
import { fiedlerResults } from "../../../src/proxy/delivery/fiedler.ts";

const rows = (answer: unknown) => fiedlerResults(typeof answer === "string" ? answer : JSON.stringify(answer));
const answer = (...results: object[]) => ({ correlation_id: "c", results });

test("an orchestrator's answer gives a row for each model", () => {
  const results = [
    { model: "a", status: "success", text: "said", duration: 0.5, tokens: { prompt: 3, completion: 0 } },
    { model: "b", status: "failed", error: "too slow" },
  ];
  expect(rows(answer(...results))).toEqual([
    {
      correlation_id: "c",
      model: "a",
      output: "said",
      status: "success",
      duration_seconds: 0.5,
      tokens_prompt: 3,
      tokens_completion: 0,
    },
    { correlation_id: "c", model: "b", output: "too slow", status: "error", error_message: "too slow" },
  ]);
});

test("the output is the model's text, else its file, else the error", () => {
  const all = { model: "m", status: "success", text: "text", output: "output", output_file: "file", error: "error" };
  const outputs = ["text", "output", "output_file", "error"].map((_, index, keys) => {
    const left = Object.fromEntries(Object.entries(all).filter(([key]) => !keys.slice(0, index).includes(key)));
    return rows(answer(left))[0]?.output;
  });
  expect(outputs).toEqual(["text", "output", "file", "error"]);
  expect(rows(answer({ ...all, text: "" }))[0]?.output).toBe("output");
  expect(rows(answer({ model: "m", status: "success" }))[0]?.output).toBe("(no output)");
});

test("an invalid optional field is left out of its row", () => {
  const strange = { text: 1, duration: -1, tokens: { prompt: 1.5, completion: -1 }, error: {} };
  expect(rows(answer({ model: "m", status: "success", output: "said", ...strange }))).toEqual([
    { correlation_id: "c", model: "m", output: "said", status: "success" },
  ]);
  expect(rows(answer({ model: "m", status: "success", tokens: 7 }))).toHaveLength(1);
  expect(rows(answer({ model: "m", status: "success", tokens: { prompt: 3, completion: -1 } }))).toMatchObject([
    { tokens_prompt: 3 },
  ]);
});

test("any other text gives no rows", () => {
  const wrong = [
    "no JSON",
    {},
    { results: [] },
    { ...answer({ model: "m", status: "success" }), correlation_id: "" },
    { correlation_id: "c", results: {} },
    answer({ model: "", status: "success" }),
    answer({ model: "m" }),
  ];
  for (const each of wrong) expect(rows(each)).toEqual([]);
});
