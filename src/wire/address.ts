/** An address without what people put into it as a key: user, password and query. */
export function withoutSecrets(address: string): string {
  const url = URL.parse(address);
  return url === null ? "the address" : `${url.protocol}//${url.host}${url.pathname}`;
}
