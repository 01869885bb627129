import type { NamespaceRooms } from './namespace-rooms.js';
import { TAG_STAMP } from './tag-registry.js';

/**
 * Applies the changes of one namespace by other processes, as Redis reports them, and handles the times when messages
 * may have been missed.
 */
export class ForeignChanges {
  constructor(private readonly rooms: NamespaceRooms) {}

  /**
   * Applies the change of one key.
   * @param encodedKey the part of the Redis key after the namespace: the key of an entry, or of a stamp
   */
  onChanged(encodedKey: string): void {
    const { tags, flights, local } = this.rooms;
    if (encodedKey.startsWith(TAG_STAMP)) {
      const name = encodedKey.slice(TAG_STAMP.length);
      tags.onMessage(name);
      if (flights.onTag(name, false)) {
        void tags.confirm(name); // a new stamp ends these loads, a longer life of the same stamp does not
      }
    } else if (encodedKey.startsWith('#')) {
      this.startEpoch();
    } else {
      local.delete(encodedKey);
      flights.taint(encodedKey);
    }
  }

  /** Reads stamps again; called at each heartbeat while Redis can be used. Never rejects. */
  async onHeartbeat(): Promise<void> {
    await this.rooms.remote?.touchStamps((encodedKey) => this.onChanged(encodedKey));
  }

  /** Another process's load of this key has ended without a value to store: the calls that wait for it go on. */
  onLoadEnded(encodedKey: string): void {
    this.rooms.flights.wake(encodedKey);
  }

  /**
   * Starts a new epoch: this process may have missed changes, so nothing that it holds, or is about to keep, from
   * before is trusted.
   */
  startEpoch(): void {
    const { local, flights, remote } = this.rooms;
    local.startEpoch();
    flights.taintAll();
    remote?.forgetStamps();
  }

  /** Redis can be used for the first time: values that this process loaded without it may be outdated already. */
  onFirstHearing(): void {
    const { local, flights } = this.rooms;
    local.startEpoch();
    flights.taintUnleased();
  }
}
