import { clientConfig, proxyConfig, serveConfig, unknownVariables } from "../../config.ts";
import { settings } from "../../settings.ts";
import { ENGINE_VERSION, carriesEngine } from "../../store/engine/engine.ts";
import { withoutSecrets } from "../../wire/address.ts";
import { isObject } from "../../wire/frame.ts";
import type { Json } from "../../wire/frame.ts";
import { isLoopback } from "../../loopback.ts";
import { askHealth, portOf, whyUnreachable } from "../health.ts";
import type { Invocation } from "../command.ts";
import { serverOn } from "../listening-process.ts";
import { foreignServer, portOwner } from "../../wire/owner.ts";
import { fault, healthAt, ok } from "./finding.ts";
import type { Finding } from "./finding.ts";

const REMEDY =
  "one person needs none running: clients and commands start it, and dewey up shows it at work; for a service: dewey unit serve";

/** What stands at the server's address in its place: a proxy, a server that does not answer, or another program. */
async function notTheServer(url: string, health: Json | undefined): Promise<Finding | undefined> {
  const place = withoutSecrets(url);
  if (health !== undefined && "recorder" in health)
    return fault(
      `${place} is the address of a proxy, not of a server`,
      `set DEWEY_URL to the server's address (without it: ${settings.url.default})`,
    );
  if (health !== undefined && "database" in health) return undefined;
  const answers = (await askHealth(url)) !== undefined;
  const isHere = isLoopback(new URL(url).hostname);
  if (!answers && isHere && serverOn(portOf(url)) !== undefined)
    return fault(
      `the Dewey server at ${place} does not answer`,
      "wait while it is busy, give DEWEY_URL its scheme (wss:// with TLS), or stop it: dewey stop",
    );
  const isTaken = isHere && ["own", "other"].includes(portOwner(portOf(url)).kind);
  if (!answers && !isTaken) return undefined;
  return fault(
    `a program that is not Dewey listens at ${place}`,
    "stop it, or give Dewey another port: DEWEY_MCP_PORT for the server, and DEWEY_URL for clients",
  );
}

export async function configuration(invocation: Invocation): Promise<Finding> {
  for (const read of [serveConfig, proxyConfig, clientConfig]) read(invocation);
  const unknown = unknownVariables(invocation.env);
  if (unknown.length > 0) {
    return fault(`unknown settings: ${unknown.join(", ")}`, "correct the names, or unset them");
  }
  return ok("all settings are valid");
}

export async function versions(invocation: Invocation): Promise<Finding> {
  const platform = `${process.platform}-${process.arch}`;
  return ok(
    `Dewey ${invocation.version}, ${carriesEngine() ? `carrying PostgreSQL ${ENGINE_VERSION}` : "without a PostgreSQL of its own"}, on ${platform}`,
  );
}

export async function server(invocation: Invocation): Promise<Finding> {
  const { url, token } = clientConfig(invocation);
  const place = withoutSecrets(url);
  const health = await healthAt({ url, token });
  const stranger = await notTheServer(url, health);
  if (stranger) return stranger;
  // Before the token: one that another user's server wants is not this user's to set.
  const foreign = health === undefined ? undefined : foreignServer({ url, token });
  if (foreign) return fault(foreign.complaint, foreign.remedy);
  const unreachable = await whyUnreachable({ url, token });
  if (unreachable?.code === "unavailable" && isLoopback(new URL(url).hostname))
    return fault(`no server runs at ${place}`, REMEDY);
  if (unreachable) throw unreachable;
  const version = health?.["version"];
  if (version !== invocation.version) {
    return fault(
      `the server at ${place} is Dewey ${String(version)}; this is ${invocation.version}`,
      "restart the server with this binary",
    );
  }
  const ended = health?.["ended_redactions"];
  if (isObject(ended)) {
    const patterns = Object.entries(ended).map(([name, texts]) => `${name} (on ${String(texts)} texts)`);
    return fault(
      `patterns of DEWEY_REDACT_PATTERNS took too long and were ended, which may have left secrets: ${patterns.join(", ")}`,
      "write them with fewer repetitions within repetitions, and restart the server",
    );
  }
  return ok(`${place} answers`);
}
