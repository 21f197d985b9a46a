import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import type { Connection } from "../../src/store/database/connection.ts";
import { socketPath } from "../../src/postgres-host.ts";

/** Length and code of PostgreSQL's messages before the login. */
const HEADER_BYTES = 8;
const SSL_REQUEST = 80_877_103;

/** A proxy before a PostgreSQL that refuses a login with settings, in the words of Amazon's RDS Proxy. */
export function startChoosyProxy(to: Connection): { connection: Connection; refused(): number } & Disposable {
  let refusals = 0;
  const open = new Set<Socket>();
  const server = createServer((from) => {
    open.add(from);
    from.on("error", () => {});
    const first = (bytes: Buffer): void => {
      if (bytes.length === HEADER_BYTES && bytes.readUInt32BE(4) === SSL_REQUEST) {
        from.write("N");
        from.once("data", first);
        return;
      }
      const [setting] = /statement_timeout|options/.exec(bytes.toString("latin1")) ?? [];
      if (setting !== undefined) {
        refusals += 1;
        from.end(refusal(`Feature not supported: RDS Proxy currently doesn't support the option ${setting}.`));
        return;
      }
      const upstream = connect(socketPath(to));
      open.add(upstream);
      upstream.on("error", () => from.destroy());
      upstream.write(bytes);
      from.pipe(upstream).pipe(from);
    };
    from.once("data", first);
  });
  server.listen(0, "127.0.0.1");
  const { port } = server.address() as AddressInfo;
  return {
    connection: { ...to, host: "127.0.0.1", port },
    refused: () => refusals,
    [Symbol.dispose]() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** An ErrorResponse of PostgreSQL's protocol. */
function refusal(message: string): Buffer {
  const fields = Buffer.from(["SFATAL", "VFATAL", "C0A000", `M${message}`, ""].join("\0") + "\0");
  const head = Buffer.alloc(5);
  head.write("E");
  head.writeUInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}
