import type { ViewedFrame } from "../../wire/frame.ts";

/** Limits on waiting frames; beyond either, the client should send no more. */
const MAX_WAITING_FRAMES = 1000;
const MAX_WAITING_CHARACTERS = 16_000_000;

/** The frames of a client that wait for an upstream. */
export class WaitingFrames {
  #frames: ViewedFrame[] = [];
  #characters = 0;

  get size(): number {
    return this.#frames.length;
  }

  /** Whether the client should send no more. */
  get isFull(): boolean {
    return this.#frames.length >= MAX_WAITING_FRAMES || this.#characters >= MAX_WAITING_CHARACTERS;
  }

  add(frame: ViewedFrame): void {
    this.#frames.push(frame);
    this.#characters += frame.text.length;
  }

  /** Removes and returns all, in their order. */
  takeAll(): ViewedFrame[] {
    const frames = this.#frames;
    this.#frames = [];
    this.#characters = 0;
    return frames;
  }
}
