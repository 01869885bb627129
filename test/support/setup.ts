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
