import type { NamespaceRooms } from './namespace-rooms.js';
import { TAG_STAMP } from './tag-registry.js';

/** What others change in one namespace, as Redis tells of it, and the doubt when it may not have told. */
export class ForeignChanges {
  constructor(private readonly rooms: NamespaceRooms) {}

  /** @param encodedKey the key as Redis names it after the namespace: an entry's, or that of a stamp */
  onChanged(encodedKey: string): void {
    const { tags, loads, local, reader } = this.rooms;
    if (encodedKey.startsWith(TAG_STAMP)) {
      const name = encodedKey.slice(TAG_STAMP.length);
      tags.onMessage(name);
      if (loads.flights.onTag(name, false)) {
        void tags.confirm(name); // a new stamp ends these loads, a stamp that only lives longer does not
      }
    } else if (encodedKey.startsWith('#')) {
      this.startEpoch();
    } else {
      local.delete(encodedKey);
      reader.detach(encodedKey);
      loads.onChanged(encodedKey);
    }
  }

  /** At each heartbeat while Redis can be used. Never rejects. */
  async onHeartbeat(): Promise<void> {
    await this.rooms.remote?.touchStamps((encodedKey) => this.onChanged(encodedKey));
  }

  /** Another process's load of this key has ended without a value to store: the calls that wait for it go on. */
  onLoadEnded(encodedKey: string): void {
    this.rooms.loads.onEnded(encodedKey);
  }

  /** Nothing that this process holds, or is about to hold, from before is trusted: it may have missed changes. */
  startEpoch(): void {
    const { local, reader, loads, remote } = this.rooms;
    local.startEpoch();
    reader.detachAll();
    loads.doubtAll();
    remote?.forgetStamps();
  }

  /** Redis is there for the first time: what this process has made up without it may be old already. */
  onFirstHearing(): void {
    const { local, loads } = this.rooms;
    local.startEpoch();
    loads.doubtUnleased();
  }
}
