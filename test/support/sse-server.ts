type Json = Record<string, unknown>;

/** A session of the server: its stream, and the frames that were posted to it. */
interface SseSession {
  say(frame: string): void;
  /** Sends an event of another type. */
  event(type: string, data: string): void;
  end(): void;
  frames: string[];
}

export interface SseServer extends AsyncDisposable {
  url: string;
  sessions: SseSession[];
  requests: Request[];
}

export interface SseServerOptions {
  /** The first event's data; the path of the session's endpoint by default. */
  endpoint?: (id: number) => string;
  /** The answer to a POST, instead of 202. */
  posted?: (frame: string, session: SseSession) => Response | undefined | Promise<Response | undefined>;
}

/** A server over the older HTTP+SSE transport that answers every request with its method. */
export function startSseServer({ endpoint, posted }: SseServerOptions = {}): SseServer {
  const sessions: SseSession[] = [];
  const requests: Request[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      requests.push(request);
      const url = new URL(request.url);
      if (request.method === "GET") return open(sessions, endpoint);
      const session = sessions[Number(url.searchParams.get("session"))];
      const frame = await request.text();
      if (!session) return new Response("unknown session", { status: 404 });
      session.frames.push(frame);
      const answered = await posted?.(frame, session);
      if (answered) return answered;
      const { id, method } = JSON.parse(frame) as Json;
      if (id !== undefined && method !== undefined)
        session.say(JSON.stringify({ jsonrpc: "2.0", id, result: { method } }));
      return new Response("Accepted", { status: 202 });
    },
  });
  return {
    url: `${server.url.href}events?key=s3cret`,
    sessions,
    requests,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function open(sessions: SseSession[], endpoint = (id: number) => `/messages?session=${id}`): Response {
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      const write = (text: string) => controller.enqueue(encoder.encode(text));
      const event = (type: string, data: string) => write(`event: ${type}\ndata: ${data}\n\n`);
      event("endpoint", endpoint(sessions.length));
      sessions.push({
        say: (frame) => event("message", frame),
        event,
        end: () => controller.close(),
        frames: [],
      });
    },
  });
  return new Response(stream, { headers: { "content-type": "text/event-stream" } });
}
