/*
 * Imported first, for its effect: variables from a file called .env in the current folder are there before anything reads the
 * environment. Variables that are already set win. Without such a file nothing happens.
 */
import { existsSync } from 'node:fs';

if (existsSync('.env')) {
  process.loadEnvFile('.env');
}
