import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The least permissions of a user, as in docs/guarantees.md: the part after the name and the password. */
export function leastRights(): string[] {
  return readFileSync(join(import.meta.dirname, '../../docs/guarantees.md'), 'utf8')
    .split('\n')
    .find((line) => line.startsWith('ACL SETUSER'))!
    .split(' ')
    .slice(5);
}
