import { describe, expect, test } from "bun:test";
import { basename } from "node:path";
import {
  hasEnded,
  isServer,
  isServerCommand,
  listeningProcesses,
  listeningSockets,
  programOf,
} from "../../src/cli/listening-process.ts";
import { isRunning } from "../../src/is-running.ts";
import { until } from "../support/rpc.ts";

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
    expect(listeningProcesses(port)).toEqual([process.pid]);
    server.stop(true);
    expect(listeningProcesses(port)).toEqual([]);
  });

  test("is a server of Dewey's if it runs dewey serve or dewey up, also from source", () => {
    const servers = [
      ["dewey", "/usr/bin/dewey", "serve", "--port", "9020"],
      ["dewey-1.2", "dewey", "up"],
      ["bun", "bun", "/src/dewey/src/main.ts", "serve"],
    ];
    const others = [
      ["ssh", "ssh", "-N", "-L", "9020:localhost:9020", "serve"],
      ["docker-proxy", "/usr/bin/docker-proxy", "-host-port", "9020"],
      ["dewey", "dewey", "proxy"],
      ["bun", "bun", "other.ts", "serve"],
      ["bun", "bun"],
    ];
    const isOne = ([program = "", ...words]: string[]) => isServerCommand(program, words);
    expect(servers.filter((each) => !isOne(each))).toEqual([]);
    expect(others.filter(isOne)).toEqual([]);
  });

  test.skipIf(process.platform !== "linux")("is none of Dewey's when it has ended, or is another program", async () => {
    expect([programOf(process.pid), isServer(process.pid)]).toEqual([basename(process.execPath), false]);
    const ended = Bun.spawn(["true"]);
    await ended.exited;
    expect([programOf(ended.pid), isServer(ended.pid), hasEnded(ended.pid)]).toEqual([undefined, false, true]);
    expect(hasEnded(process.pid)).toBe(false);
  });

  test.skipIf(process.platform !== "linux")("has ended also while its parent takes no notice", async () => {
    await using parent = Bun.spawn(["sh", "-c", "sleep 0.01 & echo $!; exec sleep 60"], { stdout: "pipe" });
    const { value } = await parent.stdout.getReader().read();
    const child = Number(new TextDecoder().decode(value));
    await until("the end of the child", () => hasEnded(child));
    expect(isRunning(child)).toBe(true);
  });
});
