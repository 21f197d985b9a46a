import { Chunks } from "../chunks.ts";
import { MAX_FRAME_BYTES } from "./frame.ts";

/** The text of a response's body. Throws, and reads no further, when it is larger than the largest frame, or than `maxBytes`. */
export async function boundedText(response: Response, maxBytes = MAX_FRAME_BYTES): Promise<string> {
  const chunks = new Chunks(maxBytes);
  // A loop that throws cancels the stream.
  const body: AsyncIterable<Uint8Array> | [] = response.body ?? [];
  for await (const chunk of body) {
    chunks.add(chunk);
    if (chunks.bytes > maxBytes) throw new Error(`the response is larger than ${maxBytes} bytes`);
  }
  return chunks.take().text;
}
