/** Size of the pieces that are handed on, so that a slow client makes visible progress on a long frame. */
const PIECE_BYTES = 256 * 1024;

/** The bytes in pieces that share their memory. */
export function inPieces(bytes: Uint8Array, pieceBytes = PIECE_BYTES): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += pieceBytes) pieces.push(bytes.subarray(start, start + pieceBytes));
  return pieces;
}
