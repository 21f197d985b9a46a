import { clientConfig, proxyConfig, serveConfig, unknownVariables } from "../../config.ts";
import { ENGINE_VERSION } from "../../store/engine/engine.ts";
import { withoutSecrets } from "../../wire/address.ts";
import { isObject } from "../../wire/frame.ts";
import { whyUnreachable } from "../health.ts";
import type { Invocation } from "../command.ts";
import { foreignServer } from "../../wire/owner.ts";
import { fault, healthAt, ok } from "./finding.ts";
import type { Finding } from "./finding.ts";

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
  return ok(`Dewey ${invocation.version}, carrying PostgreSQL ${ENGINE_VERSION}, on ${platform}`);
}

export async function server(invocation: Invocation): Promise<Finding> {
  const { url, token } = clientConfig(invocation);
  const place = withoutSecrets(url);
  const health = await healthAt(url);
  const unreachable = await whyUnreachable({ url, token });
  if (unreachable) throw unreachable;
  const foreign = foreignServer({ url, token });
  if (foreign) return fault(foreign.complaint, foreign.remedy);
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
