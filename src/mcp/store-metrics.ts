import type { Metrics } from "../metrics.ts";
import type { Store } from "../store/store.ts";

/** Meters the database: whether it answers, its size, what was stored and read, and the connections to it. */
export function meterDatabase(metrics: Metrics, store: Store): void {
  metrics.gauge("dewey_database_up", "1 if the database answered when it was last looked at, else 0.", () =>
    Number(store.primary.isUp),
  );
  metrics.gauge("dewey_database_writable", "1 if it took writes then, else 0.", () => Number(store.primary.isWritable));
  metrics.gauge("dewey_database_size_bytes", "Room that the database takes on its disk.", () =>
    store.size.bytes === undefined ? [] : [[{}, store.size.bytes]],
  );
  const { messages } = store;
  metrics.counted("dewey_stored_messages_total", "Messages stored by this server.", () => messages.stored.messages);
  metrics.counted("dewey_stored_bytes_total", "Bytes of their contents.", () => messages.stored.bytes);
  if (store.reads()) {
    metrics.counted("dewey_reads_total", "Searches, lists and reads, by the database that answered.", () =>
      Object.entries(store.reads() ?? {}).map(([database, count]) => [{ database }, count]),
    );
  }
  const pools = () => Object.entries(store.pools());
  metrics.gauge("dewey_database_connections", "Connections to the database, by pool and state.", () =>
    pools().flatMap(([pool, { busy, idle }]) => [
      [{ pool, state: "busy" }, busy],
      [{ pool, state: "idle" }, idle],
    ]),
  );
  metrics.gauge("dewey_database_connections_max", "Maximum number of connections, by pool.", () =>
    pools().map(([pool, { most }]) => [{ pool }, most]),
  );
  metrics.gauge("dewey_database_waiting_calls", "Callers waiting for a connection, by pool.", () =>
    pools().map(([pool, { waiting }]) => [{ pool }, waiting]),
  );
}

/** Meters the search by meaning, where it is configured: the endpoint, what waits for vectors, and what has them. */
export function meterMeaning(metrics: Metrics, { meaning }: Store): void {
  if (!meaning) return;
  const state = () => meaning.state();
  metrics.gauge("dewey_meaning_endpoint_up", "Whether the embeddings endpoint gives vectors.", () =>
    state().endpoint === "ok" ? 1 : 0,
  );
  metrics.gauge(
    "dewey_meaning_queued_messages",
    "Messages that still lack vectors, counted to 100,000 every ten seconds.",
    () => state().queued,
  );
  metrics.gauge("dewey_meaning_passages", "Passages that queries are compared with.", () => state().passages);
  metrics.gauge("dewey_meaning_index_bytes", "Memory for comparing queries with passages.", () => state().index_bytes);
  metrics.counted(
    "dewey_meaning_embedded_passages_total",
    "Passages that this server has embedded.",
    () => state().embedded.passages,
  );
  metrics.counted(
    "dewey_meaning_embedded_messages_total",
    "Messages that this server has embedded.",
    () => state().embedded.messages,
  );
  metrics.counted(
    "dewey_meaning_refused_messages_total",
    "Messages with texts that the endpoint refuses.",
    () => state().embedded.refused,
  );
  metrics.counted(
    "dewey_meaning_failures_total",
    "Failures of the endpoint while embedding.",
    () => state().embedded.failures,
  );
  metrics.counted("dewey_meaning_queries_total", "Queries by how their vectors were found.", () =>
    Object.entries(state().queries).map(([outcome, count]) => [{ outcome }, count]),
  );
}
