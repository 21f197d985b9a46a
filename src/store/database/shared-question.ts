/**
 * A question that many callers ask at once. An answer serves all callers who came before it was asked for. One question is
 * in flight at a time; callers who come meanwhile share the next one, so the cost is the same for any number of callers.
 */
export class SharedQuestion<Answer> {
  readonly #question: () => Promise<Answer>;
  #underWay: Promise<Answer> | undefined;
  #next: Promise<Answer> | undefined;

  constructor(question: () => Promise<Answer>) {
    this.#question = question;
  }

  /** Resolves with the answer to a question that is sent no earlier than this call. */
  ask(): Promise<Answer> {
    if (this.#underWay === undefined) return this.#begin();
    this.#next ??= this.#underWay.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  #begin(): Promise<Answer> {
    this.#next = undefined;
    const answer = this.#question().finally(() => (this.#underWay = undefined));
    this.#underWay = answer;
    return answer;
  }
}
