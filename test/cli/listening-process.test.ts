import { describe, expect, test } from "bun:test";
import { listeningProcess, listeningSockets } from "../../src/cli/listening-process.ts";

const row = (local: string, state: string, inode: number) =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0000 100 0 0 10 0`;
const table = [
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
  row("0100007F:233C", "0A", 11),
  row("0100007F:233C", "01", 12),
  row("0100007F:233D", "0A", 13),
  row("00000000:233C", "0A", 14),
].join("\n");

describe("the process that listens on a port", () => {
  test("holds a socket that listens there, not one that is only connected", () => {
    expect(listeningSockets(table, 0x233c)).toEqual(["socket:[11]", "socket:[14]"]);
    expect(listeningSockets("", 9020)).toEqual([]);
  });

  test.skipIf(process.platform !== "linux")("is found while it listens", () => {
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
    const { port } = server;
    expect(listeningProcess(port)).toBe(process.pid);
    server.stop(true);
    expect(listeningProcess(port)).toBeUndefined();
  });
});
