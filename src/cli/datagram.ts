import { dlopen, ptr } from "bun:ffi";

/** Linux's numbers, which x86-64 and arm64 share. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
/** The manager may be busy; a service must not wait for it. */
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** Room for a path in `sockaddr_un`, with the byte that ends it. */
const MOST_PATH_BYTES = 108;
const FAMILY_BYTES = 2;

/** Sends datagrams to a Unix socket. */
export interface DatagramSocket {
  /** Returns false when the text was not taken. */
  send(text: string): boolean;
}

/**
 * Opens a socket for datagrams to a path, or to an abstract name after `@`; Linux only. Neither Bun nor Node has an API for
 * such sockets, and a program that sends one (`systemd-notify`) would have to be started for each. Throws when it cannot be
 * opened.
 */
export function datagramsTo(path: string): DatagramSocket {
  const name = Buffer.from(path.replace(/^@/, "\0"));
  // An abstract name counts its bytes, and a path ends with a zero byte.
  const length = FAMILY_BYTES + name.length + (path.startsWith("@") ? 0 : 1);
  if (!/^[/@]/.test(path) || name.length >= MOST_PATH_BYTES)
    throw new Error("its address is neither a path nor a name after @");
  const address = Buffer.alloc(FAMILY_BYTES + MOST_PATH_BYTES);
  address.writeUInt16LE(AF_UNIX);
  name.copy(address, FAMILY_BYTES);
  const { symbols } = dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", "usize", "i32", "ptr", "u32"], returns: "i64" },
  });
  const socket = symbols.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) throw new Error("the kernel gives no socket");
  return {
    send(text) {
      const bytes = Buffer.from(text);
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      const sent = symbols.sendto(socket, ptr(bytes), bytes.length, flags, ptr(address), length);
      return Number(sent) === bytes.length;
    },
  };
}
