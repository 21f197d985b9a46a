import { decodeEntry } from "../proxy/spool/entry.ts";
import { RecordBuilder } from "../proxy/delivery/record.ts";
import type { Delivery } from "../proxy/delivery/record.ts";
import type { Captured, CapturedRow } from "./captured.ts";

/**
 * What a proxy has left in a piece of its spool. Nothing is removed: a proxy that runs on this folder delivers it too, with
 * the same ids. What is torn at the end is not there.
 */
export async function* spoolPieces(stream: AsyncIterable<Uint8Array>): AsyncGenerator<CapturedRow> {
  const recorder = new RecordBuilder();
  let rest: Uint8Array = new Uint8Array();
  let [end, number] = [0, 0];
  for await (const chunk of stream) {
    const bytes = Buffer.concat([rest, chunk]);
    let offset = 0;
    for (let found = decodeEntry(bytes, offset); found; found = decodeEntry(bytes, offset)) {
      end += found.next - offset;
      offset = found.next;
      number += 1;
      yield { captured: recorder.take(found.entry).flatMap(capturedOf), number, end };
    }
    rest = bytes.subarray(offset);
  }
}

function capturedOf(delivery: Delivery): Captured[] {
  const { conversation } = delivery;
  if (delivery.kind === "end") {
    return [{ kind: "facts", facts: { conversation_id: conversation, metadata: delivery.metadata } }];
  }
  if (delivery.kind === "message") return [{ kind: "message", conversation, message: delivery.message }];
  if (delivery.kind === "result") {
    return [{ kind: "result", result: { ...delivery.result } }];
  }
  const { sessionKey, metadata } = delivery;
  const key = sessionKey === undefined ? {} : { session_id: sessionKey };
  return [{ kind: "conversation", begin: { conversation_id: conversation, ...key, metadata } }];
}
