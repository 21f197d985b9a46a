/** Magic numbers: of a frame, and of the sixteen kinds of frames that hold no content. */
const FRAME = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const RLE_BLOCK = 1;
const DICTIONARY_BYTES = [0, 1, 2, 4];
const CHECKSUM_BYTES = 4;

/**
 * Walks through the frames of a zstd stream (RFC 8878) without decompressing them, to tell whether it ends where a frame does:
 * the decompressor says nothing of one that is cut short.
 */
export class ZstdFrames {
  /** The bytes of the field that is being read, how many it has, and how many to pass over before the next. */
  #field: number[] = [];
  #needed = 4;
  #passing = 0;
  #read: (field: Buffer) => void = (field) => this.#magic(field);
  #hasChecksum = false;
  #isBetween = true;

  /** Whether everything so far is whole frames. */
  get isWhole(): boolean {
    return this.#isBetween && this.#passing === 0 && this.#field.length === 0;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const passed = Math.min(this.#passing, chunk.length - at);
      this.#passing -= passed;
      at += passed;
      const byte = chunk[at];
      if (byte === undefined) return;
      this.#field.push(byte);
      at += 1;
      if (this.#field.length < this.#needed) continue;
      const field = Buffer.from(this.#field);
      this.#field = [];
      this.#read(field);
    }
  }

  #next(needed: number, read: (field: Buffer) => void, passing = 0): void {
    this.#needed = needed;
    this.#passing = passing;
    this.#read = read;
  }

  #frameEnds(passing: number): void {
    this.#isBetween = true;
    this.#next(4, (field) => this.#magic(field), passing);
  }

  #magic(field: Buffer): void {
    const magic = field.readUInt32LE();
    this.#isBetween = false;
    if (magic === FRAME) this.#next(1, ([descriptor = 0]) => this.#header(descriptor));
    else if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) this.#next(4, (size) => this.#frameEnds(size.readUInt32LE()));
    // Anything else is the decompressor's to complain of.
    else this.#frameEnds(Infinity);
  }

  #header(descriptor: number): void {
    const isSingle = (descriptor & 0x20) !== 0;
    this.#hasChecksum = (descriptor & 0x04) !== 0;
    const sizeFlag = descriptor >> 6;
    const sizeBytes = sizeFlag === 0 ? Number(isSingle) : 2 ** sizeFlag;
    const rest = Number(!isSingle) + (DICTIONARY_BYTES[descriptor & 3] ?? 0) + sizeBytes;
    this.#next(3, (field) => this.#block(field), rest);
  }

  #block(field: Buffer): void {
    const header = field.readUIntLE(0, 3);
    const bytes = ((header >> 1) & 3) === RLE_BLOCK ? 1 : header >> 3;
    if ((header & 1) === 0) this.#next(3, (next) => this.#block(next), bytes);
    else this.#frameEnds(bytes + (this.#hasChecksum ? CHECKSUM_BYTES : 0));
  }
}
