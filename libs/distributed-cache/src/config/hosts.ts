import { isIPv6 } from 'node:net';
import { isWithin, LIMITS } from './limits.js';
import type { HostAndPort } from './options.js';
import { maskAddress, show } from './problem-list.js';

export const HOST_RULE = 'a host name or an IP address, without scheme and port';
export const HOST_LIST_RULE = 'host:port,host:port (an IPv6 address in brackets), each port from 1 to 65535';

export function isHost(text: string): boolean {
  return /^[A-Za-z0-9_.-]+$/.test(text) || isIPv6(text);
}

/** Removes the brackets of an IPv6 address: `[::1]` -> `::1`; anything else is returned as it is. */
export function withoutBrackets(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

/** A wrong host for an error message. It may be a whole address with a password, which is masked. */
export function showHost(value: unknown): string {
  return typeof value === 'string' && value.includes('://') ? maskAddress(value) : show(value);
}

/** Parses a list of hosts, `host:port,[::1]:port`; `undefined` when one of them is wrong. */
export function parseHosts(text: string): HostAndPort[] | undefined {
  const hosts: HostAndPort[] = [];
  for (const part of text.split(',')) {
    const [, bracketed, plain, digits] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(part.trim()) ?? [];
    const host = bracketed ?? plain;
    const isUsable = bracketed === undefined ? isHost(plain ?? '') : isIPv6(bracketed);
    if (host === undefined || !isUsable || !isWithin(Number(digits), LIMITS.port)) {
      return undefined;
    }
    hosts.push({ host, port: Number(digits) });
  }
  return hosts;
}

export function formatHost({ host, port }: HostAndPort): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
