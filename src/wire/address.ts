/** An address without user, password, query and fragment, where people put keys. */
export function withoutSecrets(address: string): string {
  const url = URL.parse(address);
  return url === null ? "the address" : `${url.protocol}//${url.host}${url.pathname}`;
}

/** Whether an address has a part in which people put keys. A query that only names an upstream or a session has none. */
export function holdsSecret(address: string): boolean {
  const { username, password, searchParams, hash } = new URL(address);
  const isPlain = [...searchParams.keys()].every((name) => name === "upstream" || name === "session");
  return username !== "" || password !== "" || hash !== "" || !isPlain;
}
