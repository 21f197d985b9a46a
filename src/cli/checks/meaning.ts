import { clientConfig, serveConfig } from "../../config.ts";
import type { EmbeddingsConfig } from "../../config.ts";
import { isLoopback } from "../../loopback.ts";
import { Endpoint, EndpointFailure } from "../../store/meaning/endpoint.ts";
import { prefixesOf } from "../../store/meaning/families.ts";
import { isObject } from "../../wire/frame.ts";
import type { Json } from "../../wire/frame.ts";
import type { Invocation } from "../command.ts";
import { fault, healthAt, note, ok } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** A model that sleeps is loaded first. */
const ENDPOINT_LIMIT_MS = 20_000;
/** Programs of this machine answer at once, or are not there. */
const LOOK_LIMIT_MS = 1000;
/** More than lists of models hold. */
const MAX_LIST_BYTES = 1_000_000;
/** Names of models that embed. */
const EMBEDS = /embed|minilm|\bbge\b|\be5\b|\bgte\b|arctic|mxbai|paraphrase/i;

const REMEDY = "correct DEWEY_EMBEDDINGS_URL, _MODEL or _KEY, or start the endpoint; words are searched meanwhile";

/** Programs that serve embeddings in OpenAI's form on a port of their own, without a key. */
const neighbours = [
  { name: "Ollama", url: "http://localhost:11434/v1", pull: "ollama pull embeddinggemma", model: "embeddinggemma" },
  {
    name: "LM Studio",
    url: "http://localhost:1234/v1",
    pull: "lms get nomic-embed-text-v1.5",
    model: "text-embedding-nomic-embed-text-v1.5",
  },
];

/** Search by meaning: how far it is, or what would switch it on. */
export async function meaning(invocation: Invocation): Promise<Finding> {
  const health = await healthAt(clientConfig(invocation));
  const { embeddings } = serveConfig(invocation);
  const told = health?.["meaning"];
  if (isObject(told)) return ofServer(told, embeddings);
  if (embeddings === undefined) return offered();
  if (health !== undefined && "database" in health && isObject(health["search"]))
    return fault("the server runs without the embeddings endpoint that is set here", "restart it with these settings");
  return ofEndpoint(embeddings);
}

function ofServer(told: Json, config: EmbeddingsConfig | undefined): Finding {
  if (told["endpoint"] !== "ok")
    return fault(`words alone are searched: the embeddings endpoint: ${String(told["reason"])}`, REMEDY);
  const queued = Number(told["queued"]);
  const least = told["queued_is_lower_bound"] === true ? "at least " : "";
  const left = queued > 0 ? `; ${least}${queued} messages still lack vectors` : "";
  const earlier = typeof told["asked"] === "string" ? `; queries are asked of ${told["asked"]} until then` : "";
  const place = told["remote"] === true ? `; ${leaves(config)}` : "";
  return ok(`${String(told["model"])}, ${String(told["passages"])} passages${left}${earlier}${place}`);
}

/** Texts of messages leave the machine, and people should know. */
function leaves(config: EmbeddingsConfig | undefined): string {
  const place = config === undefined ? "another machine" : new URL(config.url).host;
  return `texts are sent to ${place}, beyond this machine`;
}

async function ofEndpoint(config: EmbeddingsConfig): Promise<Finding> {
  const { url, model } = config;
  try {
    const text = `${config.queryPrefix ?? prefixesOf(model).query}dewey`;
    const [vector] = await new Endpoint(config).embed(model, [text], { limitMs: ENDPOINT_LIMIT_MS });
    const place = isLoopback(new URL(url).hostname) ? "" : `; ${leaves(config)}`;
    return ok(`${model} answers with ${vector?.length ?? 0} dimensions${place}`);
  } catch (error) {
    if (!(error instanceof EndpointFailure)) throw error;
    return fault(`the embeddings endpoint: ${error.message}`, REMEDY);
  }
}

/** What would switch it on, where a program of this machine could serve it. */
async function offered(): Promise<Finding> {
  for (const { name, url, pull, model } of neighbours) {
    const models = await modelsAt(url);
    if (models === undefined) continue;
    const known = models.find((each) => EMBEDS.test(each));
    const lines = [`DEWEY_EMBEDDINGS_URL=${url}`, `DEWEY_EMBEDDINGS_MODEL=${known ?? model}`];
    const first = known === undefined ? `, after: ${pull}` : "";
    return {
      ...note(`off; ${name} runs on this machine, and these settings of the server switch it on${first}`),
      lines,
    };
  }
  return note("off: DEWEY_EMBEDDINGS_URL is not set, so only words are searched");
}

/** The names of the models that a program serves; undefined when none answers in this form. */
async function modelsAt(url: string): Promise<string[] | undefined> {
  try {
    const response = await fetch(`${url}/models`, { signal: AbortSignal.timeout(LOOK_LIMIT_MS), redirect: "manual" });
    if (!response.ok || Number(response.headers.get("content-length") ?? 0) > MAX_LIST_BYTES) return undefined;
    const said: unknown = JSON.parse((await response.text()).slice(0, MAX_LIST_BYTES));
    const list = isObject(said) ? said["data"] : undefined;
    if (!Array.isArray(list)) return undefined;
    return list.flatMap((each: unknown) => (isObject(each) && typeof each["id"] === "string" ? [each["id"]] : []));
  } catch {
    return undefined;
  }
}
