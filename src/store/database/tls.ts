import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { getCACertificates } from "node:tls";
import type { SQL } from "bun";
import { NotAFile, readPlainFile } from "../../plain-file.ts";
import type { Tls } from "./connection.ts";

/** TLS to the database failed. The message names what is wrong, and the remedy. */
export class TlsFailure extends Error {}

/** The ways of one mode, in their order: with TLS (`true`) or without. */
export function tlsWays(mode: Tls["mode"]): boolean[] {
  if (mode === "disable") return [false];
  if (mode === "allow") return [false, true];
  return mode === "prefer" ? [true, false] : [true];
}

/** Bun's options for a connection with TLS. Throws `TlsFailure` for a file that cannot be read. */
export function tlsOptions(tls: Tls): SQL.TLSOptions {
  const own = {
    ...(tls.cert === undefined ? {} : { cert: readPem("sslcert", tls.cert) }),
    ...(tls.key === undefined ? {} : { key: readPem("sslkey", tls.key) }),
  };
  const mode = modeOf(tls);
  // Said explicitly, because NODE_TLS_REJECT_UNAUTHORIZED would decide otherwise.
  if (!mode.startsWith("verify")) return { ...own, rejectUnauthorized: false };
  const verified = { ...own, ca: authorities(tls.rootCert), rejectUnauthorized: true };
  return mode === "verify-full" ? verified : { ...verified, checkServerIdentity: () => undefined };
}

/** As in libpq, `require` with a root certificate verifies it. */
function modeOf({ mode, rootCert }: Tls): Tls["mode"] {
  return mode === "require" && rootCert !== undefined ? "verify-ca" : mode;
}

/** The trusted authorities: those of the given file, of libpq's own file if it exists, or else of this machine. */
function authorities(rootCert: string | undefined): string | string[] {
  const own = join(homedir(), ".postgresql", "root.crt");
  const file = rootCert ?? (existsSync(own) ? own : "system");
  if (file !== "system") return readPem("sslrootcert", file);
  return [...getCACertificates("bundled"), ...getCACertificates("system")];
}

function readPem(parameter: string, file: string): string {
  try {
    return readPlainFile(file);
  } catch (cause) {
    const reason = cause instanceof NotAFile ? "no regular file" : ((cause as NodeJS.ErrnoException).code ?? "unknown");
    throw new TlsFailure(`the file of ${parameter}, ${file}, cannot be read (${reason})`, { cause });
  }
}

const NO_TLS = "ERR_POSTGRES_TLS_NOT_AVAILABLE";

/** Whether a server has no TLS at all. */
export function isWithoutTls(error: unknown): boolean {
  return codeOf(error) === NO_TLS;
}

/** What a failed handshake means, in the terms of Dewey's settings; undefined for an error that is not about TLS. */
export function asTlsFailure(error: unknown, tls: Tls): TlsFailure | undefined {
  const code = codeOf(error);
  if (code === NO_TLS) {
    const remedy =
      "switch it on there, or accept that the network reads along: sslmode=disable in the address, or DEWEY_DB_SSLMODE=disable";
    return new TlsFailure(`the server has no TLS; ${remedy}`, { cause: error });
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return new TlsFailure(
      "TLS: the server's certificate is for another name; use the name that is in it, or sslmode=verify-ca (DEWEY_DB_SSLMODE)",
      { cause: error },
    );
  }
  if (!/CERT|TLS|SSL|ISSUER|CRL|SIGNATURE/.test(code)) return undefined;
  const remedy = modeOf(tls).startsWith("verify")
    ? "name the authority that signed it with sslrootcert=FILE (DEWEY_DB_SSLROOTCERT), or encrypt without verifying: sslmode=require (DEWEY_DB_SSLMODE)"
    : "see the log of the database";
  return new TlsFailure(`TLS: the server's certificate was not accepted (${code}); ${remedy}`, { cause: error });
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
