/** Reads the data of events out of a stream of server-sent events (WHATWG HTML, 9.2.6), piece by piece. */
export class SseReader {
  readonly #decoder = new TextDecoder();
  #pieces: string[] = [];
  #data: string[] = [];

  /** The data of the events that end in this chunk; events without data (comments, primings) are passed over. */
  push(chunk: Uint8Array): string[] {
    const text = this.#decoder.decode(chunk, { stream: true });
    const end = text.lastIndexOf("\n");
    if (end === -1) {
      this.#pieces.push(text);
      return [];
    }
    const lines = [...this.#pieces, text.slice(0, end)].join("").split("\n");
    this.#pieces = [text.slice(end + 1)];
    return lines.flatMap((line) => this.#line(line.endsWith("\r") ? line.slice(0, -1) : line));
  }

  /** The event's data when this line ends one. */
  #line(line: string): string[] {
    if (line.startsWith("data:")) this.#data.push(line.slice(line[5] === " " ? 6 : 5));
    if (line !== "" || this.#data.length === 0) return [];
    const data = this.#data.join("\n");
    this.#data = [];
    return data === "" ? [] : [data];
  }
}
