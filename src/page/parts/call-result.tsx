import type { Message } from "../client/replies.ts";
import { CallBody } from "./call-body.tsx";
import { EditDiff } from "./edit-diff.tsx";
import { Output } from "./output.tsx";
import { Loading } from "./states.tsx";
import { duration } from "./time.tsx";

/** What a call was given, and what it gave back. */
export function OneCall({ given, result }: { given: Message | undefined; result: Message }) {
  return (
    <>
      <h3>Arguments</h3>
      {given === undefined ? <p class="quiet">They are not recorded.</p> : <CallBody message={given} />}
      <h3>Result</h3>
      <Output text={result.content} />
    </>
  );
}

interface TwoCallsProps {
  given: [Message | undefined, Message | undefined];
  results: [Message | undefined, Message | undefined];
  durations: [number | null, number | null];
}

/** How two calls differ. */
export function TwoCalls({ given, results, durations }: TwoCallsProps) {
  const [one, two] = durations.map((each) => (each === null ? "unknown" : duration(each)));
  return (
    <>
      <p class="quiet numeric">
        Duration: {one} and {two}
      </p>
      <h3>Arguments</h3>
      <Difference messages={given} />
      <h3>Results</h3>
      <Difference messages={results} />
    </>
  );
}

function Difference({ messages }: { messages: [Message | undefined, Message | undefined] }) {
  const [before, after] = messages.map((each) => (each === undefined ? undefined : laidOut(each.content)));
  if (before === undefined || after === undefined) return <Loading rows={2} />;
  if (before === after) return <p class="quiet">They are the same.</p>;
  return <EditDiff before={before} after={after} />;
}

/** JSON on lines of its own, so that it can be compared line by line. */
function laidOut(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
