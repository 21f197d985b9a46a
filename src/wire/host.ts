/** An address or a name in the form of a Host header: in lower case, an IPv6 address in brackets. */
export function asHostName(address: string): string {
  const name = address.toLowerCase();
  return name.includes(":") && !name.startsWith("[") ? `[${name}]` : name;
}

/** The name in a Host header, without its port; undefined for a text that is not a host. */
export function hostName(header: string): string | undefined {
  return /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i.exec(header)?.[1]?.toLowerCase();
}
