/** Something that the person who starts the program can put right: shown as one line, without a stack. */
export class StartUpError extends Error {
  override readonly name = 'StartUpError';
}
