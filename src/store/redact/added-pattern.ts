import { isAlnum } from "./alphabets.ts";
import { inSet, parsePattern } from "./pattern-syntax.ts";
import type { Assertion, CodeSet, Node } from "./pattern-syntax.ts";

/** Instructions of a pattern, at most: each may take a step at each character. */
const MAX_INSTRUCTIONS = 500;
/** Steps that a pattern may take on one text: about half a second. A pattern of 20 instructions reads 1 MB of its own letters with them. */
const MAX_STEPS = 20_000_000;

type Instruction =
  | { type: "set"; set: CodeSet }
  | { type: "assert"; assertion: Assertion }
  | { type: "jump"; to: number }
  | { type: "split"; first: number; second: number }
  | { type: "match" };

/** Where a pattern matches in a text. `isComplete` is false when it took more steps than it may, and was ended. */
export interface Matches {
  bounds: [start: number, end: number][];
  isComplete: boolean;
}

/**
 * A regular expression that the user has added. It is matched by states, all at once, not by trying one way after another:
 * a step costs the same however the expression is nested. Looking for every match can still take more than linear time, and
 * is ended then.
 */
export class AddedPattern {
  readonly #program: Instruction[] = [];
  /** Whether a match can begin with an ASCII character; undefined when it can begin anywhere. */
  readonly #first: Uint8Array | undefined;

  /** Throws a SyntaxError that says why an expression is refused. */
  constructor(source: string) {
    this.#emit(parsePattern(source));
    this.#add({ type: "match" });
    this.#first = this.#firstCharacters();
  }

  /** All matches from left to right that are not empty, as `RegExp` finds them. */
  find(text: string, maxSteps = MAX_STEPS): Matches {
    const search = new Search(this.#program, this.#first, text, maxSteps);
    const bounds: [number, number][] = [];
    for (let at = 0; at <= text.length;) {
      const found = search.from(at);
      if (found === undefined) break;
      if (found[1] > found[0]) bounds.push(found);
      at = found[1] > found[0] ? found[1] : found[1] + 1;
    }
    return { bounds, isComplete: !search.isEnded };
  }

  #add(instruction: Instruction): number {
    if (this.#program.length >= MAX_INSTRUCTIONS) throw tooLarge();
    return this.#program.push(instruction) - 1;
  }

  #emit(node: Node): void {
    switch (node.type) {
      case "set":
      case "assert":
        this.#add(node);
        break;
      case "sequence":
        for (const each of node.nodes) this.#emit(each);
        break;
      case "choice":
        this.#emitChoice(node.nodes);
        break;
      case "repeat":
        if (node.least > MAX_INSTRUCTIONS) throw tooLarge();
        for (let count = 0; count < node.least; count++) this.#emit(node.node);
        if (node.most === Infinity) this.#emitLoop(node.node, node.isLazy);
        else if (node.most > MAX_INSTRUCTIONS) throw tooLarge();
        else for (let count = node.least; count < node.most; count++) this.#emitOptional(node.node, node.isLazy);
        break;
    }
  }

  #emitChoice(nodes: Node[]): void {
    const [first, ...rest] = nodes;
    if (first === undefined) return;
    if (rest.length === 0) return this.#emit(first);
    const split = { type: "split" as const, first: 0, second: 0 };
    split.first = this.#add(split) + 1;
    this.#emit(first);
    const jump = { type: "jump" as const, to: 0 };
    split.second = this.#add(jump) + 1;
    this.#emitChoice(rest);
    jump.to = this.#program.length;
  }

  #emitLoop(node: Node, isLazy: boolean): void {
    const start = this.#program.length;
    const split = { type: "split" as const, first: 0, second: 0 };
    this.#add(split);
    this.#emit(node);
    this.#add({ type: "jump", to: start });
    aim(split, start + 1, this.#program.length, isLazy);
  }

  #emitOptional(node: Node, isLazy: boolean): void {
    const split = { type: "split" as const, first: 0, second: 0 };
    const at = this.#add(split);
    this.#emit(node);
    aim(split, at + 1, this.#program.length, isLazy);
  }

  /** Characters that a match can begin with. */
  #firstCharacters(): Uint8Array | undefined {
    const table = new Uint8Array(128);
    const seen = new Set<number>();
    const open = [0];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      const instruction = this.#program[at];
      if (instruction?.type === "match" || instruction?.type === "assert") return undefined;
      if (instruction?.type === "jump") open.push(instruction.to);
      if (instruction?.type === "split") open.push(instruction.first, instruction.second);
      if (instruction?.type !== "set") continue;
      if (instruction.set.others.length > 0) return undefined;
      for (let code = 0; code < 128; code++) if (instruction.set.ascii[code] === 1) table[code] = 1;
    }
    return table;
  }
}

function tooLarge(): SyntaxError {
  return new SyntaxError("it is too large; repeat less, or split it");
}

function aim(split: { first: number; second: number }, into: number, past: number, isLazy: boolean): void {
  split.first = isLazy ? past : into;
  split.second = isLazy ? into : past;
}

/** The states of a search: instructions in the order of their priority, and where the match of each began. */
class States {
  readonly #marks: Int32Array;
  readonly instructions: Int32Array;
  readonly starts: Int32Array;
  length = 0;

  constructor(size: number) {
    this.#marks = new Int32Array(size).fill(-1);
    this.instructions = new Int32Array(size);
    this.starts = new Int32Array(size);
  }

  has(instruction: number): boolean {
    const place = this.#marks[instruction] ?? -1;
    return place >= 0 && place < this.length && this.instructions[place] === instruction;
  }

  add(instruction: number, start: number): void {
    this.#marks[instruction] = this.length;
    this.instructions[this.length] = instruction;
    this.starts[this.length] = start;
    this.length += 1;
  }
}

/** A search in one text, which may take a number of steps. */
class Search {
  readonly #program: Instruction[];
  readonly #first: Uint8Array | undefined;
  readonly #text: string;
  #stepsLeft: number;
  #now: States;
  #next: States;

  constructor(program: Instruction[], first: Uint8Array | undefined, text: string, steps: number) {
    this.#program = program;
    this.#first = first;
    this.#text = text;
    this.#stepsLeft = steps;
    this.#now = new States(program.length);
    this.#next = new States(program.length);
  }

  get isEnded(): boolean {
    return this.#stepsLeft < 0;
  }

  /** The first match at or behind `from`. */
  from(from: number): [number, number] | undefined {
    let match: [number, number] | undefined;
    this.#now.length = 0;
    for (let at = from; at <= this.#text.length; at++) {
      if (this.#now.length === 0) {
        if (match !== undefined) return match;
        at = this.#candidate(at);
      }
      if (match === undefined) this.#enter(this.#now, 0, at, at);
      match = this.#step(at) ?? match;
      if (this.#stepsLeft < 0) return undefined;
      [this.#now, this.#next] = [this.#next, this.#now];
    }
    return match;
  }

  /** The next place where a match can begin. */
  #candidate(from: number): number {
    if (this.#first === undefined) return from;
    let at = from;
    for (; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at);
      if (code < 128 && this.#first[code] === 1) break;
    }
    return at;
  }

  /** Takes the character at `at` in every state, and returns the match that ends before it. */
  #step(at: number): [number, number] | undefined {
    const states = this.#now;
    this.#next.length = 0;
    this.#stepsLeft -= states.length + 1;
    for (let index = 0; index < states.length; index++) {
      const place = states.instructions[index] ?? 0;
      const start = states.starts[index] ?? 0;
      const instruction = this.#program[place];
      if (instruction?.type === "match") return [start, at];
      if (instruction?.type !== "set" || at === this.#text.length) continue;
      if (inSet(instruction.set, this.#text.charCodeAt(at))) this.#enter(this.#next, place + 1, start, at + 1);
    }
    return undefined;
  }

  /** Adds a state and those that it leads to without a character. */
  #enter(states: States, instruction: number, start: number, at: number): void {
    const open = [instruction];
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      if (states.has(place)) continue;
      states.add(place, start);
      this.#stepsLeft -= 1;
      const each = this.#program[place];
      if (each?.type === "jump") open.push(each.to);
      else if (each?.type === "split") open.push(each.second, each.first);
      else if (each?.type === "assert" && this.#holds(each.assertion, at)) open.push(place + 1);
    }
  }

  #holds(assertion: Assertion, at: number): boolean {
    if (assertion === "start") return at === 0;
    if (assertion === "end") return at === this.#text.length;
    const isBoundary = this.#isWord(at - 1) !== this.#isWord(at);
    return assertion === "boundary" ? isBoundary : !isBoundary;
  }

  #isWord(at: number): boolean {
    const code = this.#text.charCodeAt(at);
    return isAlnum(code) || code === 95;
  }
}
