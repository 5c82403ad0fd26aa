/** `host:port` as URLs and people write it: an IPv6 address stands in brackets. */
export function hostPort({
  address,
  port,
}: {
  readonly address: string;
  readonly port: number;
}): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
