import { SQL } from "bun";
import { isLoopback } from "../../loopback.ts";
import { wantsCleartextPassword } from "./cleartext.ts";
import { hostText, isSocket, socketPath } from "../../postgres-host.ts";
import type { Host } from "../../postgres-host.ts";
import type { Connection, Target } from "./connection.ts";
import { isConnectionLost, sqlState } from "./lost.ts";
import { one } from "./one.ts";
import { throughPooler } from "./pooler.ts";
import { TlsFailure, asTlsFailure, isWithoutTls, tlsOptions, tlsWays } from "./tls.ts";
import { Unreachable, whyUnreachable } from "./unreachable.ts";

/** How long connecting may take: a caller should hear that the database is down before its deadline. */
const CONNECT_LIMIT_SECONDS = 5;
/** The same where another host may answer instead. */
const CONNECT_LIMIT_OF_SEVERAL_SECONDS = 2;

export interface DialOptions {
  /** PostgreSQL settings of the connection. */
  settings: Record<string, number | string>;
  /** Whether the connection keeps prepared statements, which run faster when repeated. */
  keepsStatements: boolean;
  /** Idle time after which the connection closes; 0 for never. */
  idleSeconds: number;
  /** Called when the connection has closed, for any reason. */
  onClosed?: () => void;
}

/** What a server says of itself. */
interface Standing {
  standby: boolean;
  read_only: boolean;
  statement_timeout_ms: number;
}

interface Dialled {
  sql: SQL;
  server: Standing;
  /** Hands the connection over: its owner is told from now on when it closes. */
  accept: () => void;
}

/** Whether a server is the one meant. `prefer-standby` comes here as `standby`, and then as `any`. */
const fits: Record<Exclude<Target, "prefer-standby">, (server: Standing) => boolean> = {
  any: () => true,
  "read-write": ({ read_only }) => !read_only,
  "read-only": ({ read_only }) => read_only,
  primary: ({ standby }) => !standby,
  standby: ({ standby }) => standby,
};

/**
 * Opens connections as libpq does: the hosts in their order, until one answers that is of the kind that is meant. One that
 * refuses the login ends the attempt, because the others would too. The host that served last is asked first, so that one
 * that hangs does not delay every new connection.
 */
export class Dialler {
  readonly #connection: Connection;
  readonly #hosts: readonly Host[];
  /** Hosts that do not ask for the password as it is. */
  readonly #discreet = new Set<Host>();
  /** Whether each host was reached with TLS the last time: the other way would leave a refusal in its log each time. */
  readonly #ways = new Map<Host, boolean>();
  #last: Host | undefined;
  #isPooled: boolean;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#isPooled = connection.isPooled ?? false;
    this.#hosts = [{ host: connection.host, port: connection.port }, ...(connection.others ?? [])];
  }

  /** Whether a pooler stands before the database; known once a connection has been opened. */
  get isPooled(): boolean {
    return this.#isPooled;
  }

  /** A connection that has been opened. Throws `Unreachable`, `TlsFailure`, or PostgreSQL's refusal. */
  async dial(options: DialOptions): Promise<SQL> {
    const { target = "any" } = this.#connection;
    if (target !== "prefer-standby") return this.#dialFor(fits[target], target, options);
    try {
      return await this.#dialFor(fits.standby, "standby", options);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      return this.#dialFor(fits.any, "any", options);
    }
  }

  async #dialFor(isMeant: (server: Standing) => boolean, target: Target, options: DialOptions): Promise<SQL> {
    const reasons: string[] = [];
    let failure: unknown;
    const last = this.#hosts.filter((host) => host === this.#last);
    for (const host of [...last, ...this.#hosts.filter((each) => each !== this.#last)]) {
      try {
        const { sql, server, accept } = await this.#dialHost(host, options);
        if (isMeant(server)) {
          this.#last = host;
          accept();
          return sql;
        }
        await sql.close({ timeout: 0 });
        reasons.push(`${hostText(host)} is not ${target}, which target_session_attrs demands`);
      } catch (error) {
        failure = error;
        if (error instanceof TlsFailure) reasons.push(`${hostText(host)}: ${error.message}`);
        else if (isStarting(error)) reasons.push(`${hostText(host)} is starting or stopping`);
        else if (isConnectionLost(error)) reasons.push(await whyUnreachable(host, error));
        else throw error;
      }
    }
    if (failure instanceof TlsFailure) throw new TlsFailure(reasons.join("; "), { cause: failure });
    throw new Unreachable(reasons.join("; "), { cause: failure });
  }

  async #dialHost(host: Host, options: DialOptions): Promise<Dialled> {
    const { tls } = this.#connection;
    const possible = tls === undefined || isSocket(host.host) ? [false] : tlsWays(tls.mode);
    const known = this.#ways.get(host);
    const ways = known === undefined ? possible : [known, ...possible.filter((way) => way !== known)];
    for (const [index, encrypts] of ways.entries()) {
      try {
        const dialled = await this.#dialWay(host, encrypts, options);
        this.#ways.set(host, encrypts);
        return dialled;
      } catch (error) {
        const isLast = index === ways.length - 1;
        // What a server without TLS, or one whose pg_hba.conf has a line only for the other way, answers.
        if (!isLast && (isWithoutTls(error) || sqlState(error) === "28000")) continue;
        throw (tls && asTlsFailure(error, tls)) ?? error;
      }
    }
    throw new Error("no way of dialling");
  }

  async #dialWay(host: Host, encrypts: boolean, options: DialOptions): Promise<Dialled> {
    const password = secretOf(this.#connection, host);
    if (!encrypts && password !== "") await this.#refuseCleartext(host);
    const isPooled = this.#isPooled;
    let isAccepted = false;
    // An attempt that fails closes too, and must not pass for the connection that is accepted in the end.
    const onClosed = () => void (isAccepted && options.onClosed?.());
    const accept = () => void (isAccepted = true);
    const given = { ...options, onClosed, ...(isPooled ? { settings: {}, keepsStatements: false } : {}) };
    const sql = this.#open(host, encrypts, password, given);
    try {
      const server = await one<Standing>(
        sql`select pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as read_only,
          (extract(epoch from current_setting('statement_timeout')::interval) * 1000)::integer as statement_timeout_ms`.simple(),
      );
      if (!isPooled && ignores(server, options)) throw new PoolerFound();
      return { sql: isPooled ? throughPooler(sql, options.settings) : sql, server, accept };
    } catch (error) {
      void sql.close({ timeout: 0 }).catch(() => {});
      if (isPooled || !isPoolerFound(error)) throw error;
      this.#isPooled = true;
      return this.#dialWay(host, encrypts, options);
    }
  }

  /** Throws `TlsFailure` when the password would cross the network as it is. */
  async #refuseCleartext(host: Host): Promise<void> {
    if (isSocket(host.host) || isLoopback(host.host) || this.#discreet.has(host)) return;
    const isWanted = await wantsCleartextPassword(host, this.#connection);
    if (isWanted === true) {
      throw new TlsFailure(
        "the server wants the password in cleartext over a connection without TLS; use TLS (sslmode=verify-full), or scram-sha-256 in its pg_hba.conf",
      );
    }
    if (isWanted === false) this.#discreet.add(host);
  }

  #open(host: Host, encrypts: boolean, password: string, options: DialOptions): SQL {
    const { user, database, tls, applicationName } = this.#connection;
    return new SQL({
      adapter: "postgres",
      ...(isSocket(host.host) ? { path: socketPath(host) } : { hostname: host.host, port: host.port }),
      username: user,
      password,
      database,
      tls: encrypts && tls ? tlsOptions(tls) : false,
      max: 1,
      idleTimeout: options.idleSeconds,
      connectionTimeout: this.#hosts.length > 1 ? CONNECT_LIMIT_OF_SEVERAL_SECONDS : CONNECT_LIMIT_SECONDS,
      prepare: options.keepsStatements,
      connection: {
        ...(applicationName === undefined ? {} : { application_name: applicationName }),
        ...options.settings,
      },
      onclose: () => options.onClosed?.(),
    });
  }
}

/** The server has other settings than the connection asked for, as behind a pooler that passes over them. */
class PoolerFound extends Error {}

function ignores({ statement_timeout_ms }: Standing, { settings }: DialOptions): boolean {
  const asked = settings["statement_timeout"];
  return asked !== undefined && Number(asked) !== statement_timeout_ms;
}

/** Poolers refuse the settings of a connection with 08P01, Amazon's RDS Proxy with 0A000, or pass over them. */
function isPoolerFound(error: unknown): boolean {
  return error instanceof PoolerFound || /^(08P01|0A000)$/.test(sqlState(error) ?? "");
}

function secretOf({ password, database, user }: Connection, host: Host): string {
  return (typeof password === "function" ? password({ ...host, database, user }) : password) ?? "";
}

/** 57P03: the server is starting, or is stopping. */
function isStarting(error: unknown): boolean {
  return sqlState(error) === "57P03";
}
