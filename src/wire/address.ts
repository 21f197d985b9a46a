/** An address without user, password, query and fragment, where people put keys. */
export function withoutSecrets(address: string): string {
  const url = URL.parse(address);
  return url === null ? "the address" : `${url.protocol}//${url.host}${url.pathname}`;
}
