/**
 * A question that many ask at once and one answer serves, if it was asked after the last of them came. One is under way;
 * whoever comes meanwhile shares the next, so it costs the same however many ask.
 */
export class SharedQuestion<Answer> {
  readonly #question: () => Promise<Answer>;
  #underWay: Promise<Answer> | undefined;
  #next: Promise<Answer> | undefined;

  constructor(question: () => Promise<Answer>) {
    this.#question = question;
  }

  /** An answer to the question as it is asked from now on. */
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
