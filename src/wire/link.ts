/**
 * One open connection that carries frames (JSON-RPC texts) in both directions, over any wire.
 *
 * A link starts paused: it delivers nothing before `open(handlers)`, so no frame is lost while its owner gets ready.
 */
export interface Link {
  /** For logs and for the metadata of recorded sessions. */
  readonly wire: Wire;

  /** Starts delivery. Called once. */
  open(handlers: LinkHandlers): void;

  /**
   * Sends a frame. Never throws; a frame sent after the close is dropped. Returns false when the peer reads more slowly
   * than we send: the frame is queued, but the caller should pause its source until `drained`.
   */
  send(frame: string): boolean;

  /** Stops reading from the peer until `resume`; flow control then slows the peer down. */
  pause(): void;
  resume(): void;

  /**
   * Closes the link. `handlers.closed` is called once, whichever side closes first. Frames sent before the close still go to
   * the peer while it takes them: see `finished`.
   */
  close(reason?: string): void;

  /**
   * Resolves after the close, once the peer has what was sent before it, or has taken nothing for `FAREWELL_STALL_MS`. Absent
   * where the wire itself delivers what is queued.
   */
  readonly finished?: Promise<void>;
}

/** "sse" is the older HTTP+SSE transport of MCP, which only upstreams have. */
export type Wire = "websocket" | "http" | "sse" | "stdio";

export interface LinkHandlers {
  frame(text: string): void;
  drained(): void;
  /**
   * Gives a frame back that the peer certainly has not taken, because it no longer knows the session; the link closes soon.
   * Without this handler the link answers the frame's requests with an error.
   */
  unsent?(text: string): void;
  /** The link has closed. `reason` is text for people, without secrets; `exitCode` is that of a command, as shells have it. */
  closed(reason: string, exitCode?: number): void;
}
