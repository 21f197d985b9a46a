/** How to reach a PostgreSQL. A host that begins with a slash is the folder of a Unix socket. */
export interface Connection {
  host: string;
  port: number;
  database: string;
  user: string;
  password?: string;
  tls?: boolean;
}
