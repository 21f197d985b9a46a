/** The number behind `--name` on the command line. Throws for one that is smaller, or not whole tens. */
export function sizeOption(name: string, usual: number, least: number): number {
  const place = process.argv.indexOf(`--${name}`);
  const value = place === -1 ? usual : Number(process.argv[place + 1]);
  if (Number.isInteger(value / 10) && value >= least) return value;
  throw new Error(`--${name} wants a number from ${least} on that ends in 0`);
}
