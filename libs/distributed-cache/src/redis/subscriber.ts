import type { Redis } from 'ioredis';
import { followCredentials, likeSource } from './credentials.js';

/**
 * Makes the second connection beside a data connection, on which messages arrive: to the same server, with the same
 * options. It is not opened yet, and has no name.
 * @param retryStrategy the delay before the given attempt to connect, in milliseconds
 */
export function openSubscriber(source: Redis, retryStrategy: (attempt: number) => number): Redis {
  const subscriber = source.duplicate({
    lazyConnect: true,
    // A command timeout would turn a slow subscription into an unhandled rejection inside the client.
    commandTimeout: undefined,
    // Commands of a lost connection are not repeated on the next: a late SUBSCRIBE would come before the question for
    // the id.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // The client's own resubscription can lose the subscription while PING is still answered (redis/ioredis#2187).
    autoResubscribe: false,
    // The proof of the path is stronger than the ready check, takes no INFO, and saves a round trip. Without the check
    // no command may be sent on connecting either: an answer that a lost connection cuts off would make the client
    // `ready` without a socket, for good (ioredis 5.11).
    enableReadyCheck: false,
    disableClientInfo: true,
    connectionName: undefined,
    // The detector would end the client for good if it received a failover while reconnecting; the heartbeat of the
    // channel notices a failover as well.
    failoverDetector: false,
    retryStrategy,
  });
  followCredentials(subscriber.options, () => source.options);
  return likeSource(subscriber, source);
}
