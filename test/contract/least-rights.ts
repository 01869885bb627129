import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The least rights of a user, as docs/permissions.md has them: what follows the name and the password. */
export function leastRights(): string[] {
  return readFileSync(join(import.meta.dirname, '../../docs/permissions.md'), 'utf8')
    .split('\n')
    .find((line) => line.startsWith('ACL SETUSER'))!
    .split(' ')
    .slice(5);
}
