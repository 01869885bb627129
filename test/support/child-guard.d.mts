import type { ChildProcess } from 'node:child_process';

/** Makes sure that a child does not outlive this process, however this process ends. */
export function dieWithThisProcess(child: ChildProcess): void;
