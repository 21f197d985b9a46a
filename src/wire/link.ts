/**
 * One open wire that carries frames (JSON-RPC texts) both ways, whatever is underneath.
 *
 * A link starts paused: nothing is delivered before `open(handlers)`, so no frame is lost while its owner gets ready.
 */
export interface Link {
  /** What is underneath, for logs and for a recorded session's metadata. */
  readonly wire: Wire;

  /** Starts delivery. Called once. */
  open(handlers: LinkHandlers): void;

  /**
   * Hands a frame to the wire. Never throws; a frame sent after the close is dropped, as on any wire.
   * Returns false when the peer reads slower than we send: the frame is queued, not lost, but whoever
   * feeds this link should pause its source until `drained`.
   */
  send(frame: string): boolean;

  /** Stops reading from the peer (its own flow control then slows it down) until `resume`. */
  pause(): void;
  resume(): void;

  /** Ends the link; `handlers.closed` follows once, also when the peer was first. */
  close(reason?: string): void;
}

export type Wire = "websocket" | "http" | "stdio";

export interface LinkHandlers {
  frame(text: string): void;
  drained(): void;
  /** The link is over. `reason` is a sentence for a person, without secrets. */
  closed(reason: string): void;
}
