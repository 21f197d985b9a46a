import { expect, test } from "bun:test";
import { SharedQuestion } from "../../../src/store/database/shared-question.ts";

test("callers share an answer to a question sent after they came, with one in flight at a time", async () => {
  const answers: PromiseWithResolvers<number>[] = [];
  const question = new SharedQuestion(() => {
    const answer = Promise.withResolvers<number>();
    answers.push(answer);
    return answer.promise;
  });
  const first = question.ask();
  const meanwhile = [question.ask(), question.ask()];
  expect(answers).toHaveLength(1);
  answers[0]?.resolve(1);
  expect(await first).toBe(1);
  await Bun.sleep(0);
  expect(answers).toHaveLength(2);
  answers[1]?.resolve(2);
  expect(await Promise.all(meanwhile)).toEqual([2, 2]);
  const later = question.ask();
  expect(answers).toHaveLength(3);
  answers[2]?.resolve(3);
  expect(await later).toBe(3);
});

test("a failure reaches the callers who shared it, and the next question is sent again", async () => {
  let asked = 0;
  const question = new SharedQuestion(async () => {
    asked += 1;
    if (asked === 1) throw new Error("away");
    return asked;
  });
  const first = question.ask();
  const next = question.ask();
  expect(first).rejects.toThrow("away");
  expect(await next).toBe(2);
});
