import type { Host } from "../../postgres-host.ts";

/** What a password is for. A host is as in `Host`. */
export interface Login extends Host {
  database: string;
  user: string;
}

/** A function is asked at each new connection, so that a changed password needs no restart, and each host may have its own. */
export type Password = string | ((login: Login) => string | undefined);

/** How to reach a PostgreSQL. */
export interface Connection extends Host {
  /** Further hosts, dialled in their order when the first does not serve. */
  others?: readonly Host[];
  database: string;
  user: string;
  password?: Password;
  /** Absent for a connection without TLS. */
  tls?: Tls;
  /** Which server of several is meant; any by default. */
  target?: Target;
  /** Whether a pooler is known to stand before the database; most are found out. */
  isPooled?: boolean;
  /** Shown in `pg_stat_activity`. */
  applicationName?: string;
}

/** TLS as libpq's parameters say it. Files are read at each new connection. */
export interface Tls {
  /** As libpq's `sslmode`: from none to a certificate that is verified for the host's name. */
  mode: "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";
  /** A file (PEM), or `system` for the authorities that this machine trusts. */
  rootCert?: string;
  cert?: string;
  key?: string;
}

/** The values of libpq's `target_session_attrs`. */
export type Target = "any" | "read-write" | "read-only" | "primary" | "standby" | "prefer-standby";
