/** A snapshot as PostgreSQL writes it: `xmin:xmax:`, and the numbers of the transactions that were in flight. */
const snapshotPattern = /^([1-9]\d{0,18}):([1-9]\d{0,18}):([\d,]{0,200000})$/;

interface Snapshot {
  /** The first number that was not given out. */
  end: bigint;
  inFlight: bigint[];
}

/**
 * Reads a snapshot from outside, such as one in a cursor. Undefined for one that PostgreSQL would refuse: the numbers in flight
 * rise, from `xmin` on, and lie below `xmax`.
 */
export function parseSnapshot(text: string): Snapshot | undefined {
  const [, first, end, list] = snapshotPattern.exec(text) ?? [];
  if (first === undefined || end === undefined || list === undefined) return undefined;
  const numbers = list === "" ? [] : list.split(",");
  if (numbers.some((number) => number === "" || number.length > 19)) return undefined;
  const inFlight = numbers.map(BigInt);
  const rising = [BigInt(first), ...inFlight, BigInt(end)];
  const isSound = rising.every((number, index) => index === 0 || number >= (rising[index - 1] ?? number));
  return isSound && inFlight.at(-1) !== BigInt(end) ? { end: BigInt(end), inFlight } : undefined;
}
