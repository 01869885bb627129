import { vi } from 'vitest';

/**
 * Vitest already fails a run on an unhandled rejection or an uncaught exception. A leaked listener is only a
 * printed warning, so it is turned into an uncaught exception here.
 */
function failOnLeakedListeners(warning: Error): void {
  if (warning.name === 'MaxListenersExceededWarning') {
    throw new Error(`${warning.message}\n${warning.stack}`);
  }
}

// This file runs once per test file, all of them in one process: one listener is enough.
if (!process.listeners('warning').some((listener) => listener.name === failOnLeakedListeners.name)) {
  process.on('warning', failOnLeakedListeners);
}

/**
 * On a busy machine a condition takes longer. The default of one second would be a limit for the machine, not for the
 * cache.
 */
const CONDITION_LIMIT_MS = 8_000;

const { waitFor } = vi;
const IS_PATIENT = Symbol.for('ndc.waits-patiently');
// This file runs once per test file, all of them in one process.
if (!Object.hasOwn(waitFor, IS_PATIENT)) {
  const waitForPatiently: typeof waitFor = (callback, options) =>
    waitFor(callback, typeof options === 'number' ? options : { timeout: CONDITION_LIMIT_MS, ...options });
  vi.waitFor = Object.assign(waitForPatiently, { [IS_PATIENT]: true });
}
