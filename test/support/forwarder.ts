import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/** A TCP connection's way through us, which can be cut or held up like a cable. */
export class Forwarder {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  #isHeld = false;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /** Forwards what comes to a free port of this machine to another one. */
  static async to(port: number): Promise<Forwarder> {
    const listening = Promise.withResolvers<void>();
    const server = createServer((from) => forwarder.#forward(from, port));
    server.listen(0, "127.0.0.1", () => listening.resolve());
    await listening.promise;
    const forwarder = new Forwarder(server);
    return forwarder;
  }

  /** Breaks every connection, and each new one, until `mend`. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Passes nothing on, while all connections stay open, until `mend`. */
  hold(): void {
    this.#isHeld = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Passes nothing on for the connections that there are, as when a way between has forgotten them; new ones pass. */
  strand(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  mend(): void {
    this.#isCut = false;
    this.#isHeld = false;
    for (const socket of this.#sockets) socket.resume();
  }

  stop(): void {
    this.cut();
    this.#server.close();
  }

  #forward(from: Socket, port: number): void {
    if (this.#isCut) {
      from.on("error", () => {});
      from.resetAndDestroy();
      return;
    }
    const to = connect(port, "127.0.0.1");
    for (const [source, target] of [
      [from, to],
      [to, from],
    ] as const) {
      this.#sockets.add(source);
      source.setNoDelay(true);
      source.on("error", () => target.destroy());
      source.on("close", () => {
        this.#sockets.delete(source);
        target.destroy();
      });
      source.on("data", (data) => {
        if (target.write(data)) return;
        source.pause();
        target.once("drain", () => {
          if (!this.#isHeld) source.resume();
        });
      });
      source.on("end", () => target.end());
      if (this.#isHeld) source.pause();
    }
  }
}
