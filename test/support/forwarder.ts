import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/** A TCP forwarder that can be cut or stalled like a cable. */
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

  /** Forwards connections to a free local port on to another port. */
  static async to(port: number, host = "127.0.0.1"): Promise<Forwarder> {
    const listening = Promise.withResolvers<void>();
    const server = createServer((from) => forwarder.#forward(from, port, host));
    server.listen(0, "127.0.0.1", () => listening.resolve());
    await listening.promise;
    const forwarder = new Forwarder(server);
    return forwarder;
  }

  /** Breaks all connections, and every new one, until `mend`. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Keeps all connections open but forwards nothing until `mend`. */
  hold(): void {
    this.#isHeld = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Stalls the existing connections for good, as a NAT that dropped its state does; new ones work. */
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

  #forward(from: Socket, port: number, host: string): void {
    if (this.#isCut) {
      from.on("error", () => {});
      from.resetAndDestroy();
      return;
    }
    const to = connect(port, host);
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
