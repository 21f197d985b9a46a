import { connect } from "node:net";
import { within } from "../../deadline.ts";
import type { Host } from "../../postgres-host.ts";
import type { Connection } from "./connection.ts";

/** Protocol 3.0, and the kinds of its messages that matter here. */
const PROTOCOL = 196_608;
const AUTHENTICATION = 0x52;
const CLEARTEXT_PASSWORD = 3;
/** An authentication request: kind, length, and the method. */
const REQUEST_BYTES = 9;
const ANSWER_LIMIT_MS = 2000;

/**
 * Whether a server would have the password sent as it is. Bun would send it, over an unencrypted connection too, so the
 * server is asked beforehand, on a connection of its own. Undefined where it asks for nothing, since it is down or starting:
 * connecting then says why, and what it will ask for remains to be seen.
 */
export async function wantsCleartextPassword(at: Host, { user, database }: Connection): Promise<boolean | undefined> {
  const socket = connect({ host: at.host, port: at.port });
  try {
    return await within(ANSWER_LIMIT_MS, firstRequest(socket, startup({ user, database })), () => undefined);
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

function startup(parameters: Record<string, string>): Buffer {
  const text = Object.entries(parameters)
    .map(([name, value]) => `${name}\0${value}\0`)
    .join("");
  const body = Buffer.from(`${text}\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + body.length, 0);
  head.writeInt32BE(PROTOCOL, 4);
  return Buffer.concat([head, body]);
}

function firstRequest(socket: ReturnType<typeof connect>, greeting: Buffer): Promise<boolean | undefined> {
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0);
    socket.on("connect", () => socket.write(greeting));
    socket.on("error", reject);
    socket.on("close", () => resolve(undefined));
    socket.on("data", (bytes: Buffer) => {
      answer = Buffer.concat([answer, bytes]);
      if (answer.length < REQUEST_BYTES) return;
      resolve(answer[0] === AUTHENTICATION ? answer.readInt32BE(5) === CLEARTEXT_PASSWORD : undefined);
    });
  });
}
