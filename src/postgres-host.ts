/** One place where a PostgreSQL listens. A host that begins with a slash is the folder of a Unix socket. */
export interface Host {
  host: string;
  port: number;
}

/** Whether a host is the folder of a Unix socket. */
export function isSocket(host: string): boolean {
  return host.startsWith("/");
}

/** A host for people: a socket's path, or a name and its port. */
export function hostText({ host, port }: Host): string {
  if (isSocket(host)) return socketPath({ host, port });
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

export function socketPath({ host, port }: Host): string {
  return `${host}/.s.PGSQL.${port}`;
}
