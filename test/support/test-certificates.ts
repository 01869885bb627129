import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface TestCertificates {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** Node can't create certificates; the `openssl` program can. Tests of TLS are skipped where it is missing. */
export function canMakeCertificates(): boolean {
  return spawnSync('openssl', ['version']).status === 0;
}

/**
 * Writes a certificate authority of its own and a server certificate to `folder`.
 * @param names the contents of the server certificate, in the form of `subjectAltName`
 */
export function makeTestCertificates(folder: string, names = 'DNS:localhost,IP:127.0.0.1'): TestCertificates {
  const path = (name: string) => join(folder, name);
  const [caFile, caKeyFile] = [path('ca.crt'), path('ca.key')];
  const [certFile, keyFile] = [path('server.crt'), path('server.key')];
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

  openssl('req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=Test authority', '-keyout', caKeyFile, '-out', caFile);
  openssl('req', ...newKey, '-subj', '/CN=localhost', '-keyout', keyFile, '-out', path('server.csr'));
  writeFileSync(path('server.ext'), `subjectAltName=${names}\n`);
  const signedBy = ['-CA', caFile, '-CAkey', caKeyFile, '-CAcreateserial', '-extfile', path('server.ext')];
  openssl('x509', '-req', '-in', path('server.csr'), ...signedBy, '-days', '2', '-out', certFile);
  return { caFile, certFile, keyFile };
}
