/** The number after `--name` on the command line. Throws when it is below the minimum or no multiple of ten. */
export function sizeOption(name: string, usual: number, least: number): number {
  const place = process.argv.indexOf(`--${name}`);
  const value = place === -1 ? usual : Number(process.argv[place + 1]);
  if (Number.isInteger(value / 10) && value >= least) return value;
  throw new Error(`--${name} must be a multiple of 10, at least ${least}`);
}
