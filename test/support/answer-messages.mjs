/**
 * Runs an action for each message `{ id, action, args }` of the parent process, and sends back `{ id, answer }`, or
 * `{ id, failure }` with the text of its error.
 * @param {Record<string, (...args: any[]) => unknown>} actions by name
 */
export function answerMessages(actions) {
  process.on('message', ({ id, action, args }) => {
    void Promise.resolve()
      .then(() => actions[action](...args))
      .then(
        (answer) => process.send({ id, answer }),
        (error) => process.send({ id, failure: String(error) }),
      );
  });
}
