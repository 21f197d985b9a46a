import { useEffect, useState } from "preact/hooks";

/** What the server says of itself; without a sign-in, only its status. */
export interface Health {
  status: string;
  version?: string;
  database?: { status: string; version?: string; reason?: string };
  search?: { language?: string; reindexing?: { walked: number; total: number } };
}

const INTERVAL_MS = 15_000;

/** The server's health, asked again and again while the view is shown. Undefined until it is known, and while the server is away. */
export function useHealth(): Health | undefined {
  const [health, setHealth] = useState<Health>();
  useEffect(() => {
    const left = new AbortController();
    const ask = async () => {
      try {
        const response = await fetch("/healthz", { cache: "no-store", signal: left.signal });
        setHealth((await response.json()) as Health);
      } catch {
        if (!left.signal.aborted) setHealth(undefined);
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), INTERVAL_MS);
    return () => {
      clearInterval(timer);
      left.abort();
    };
  }, []);
  return health;
}
