/** Damage for bytes and texts, repeatable: a failure names its seed. */
export class Mutations {
  private state: number;

  /** @param seed default: a new one each time; `FUZZ_SEED` repeats a run */
  constructor(readonly seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))) {
    this.state = seed;
  }

  /** A number from 0 (inclusive) to `below`, by mulberry32. */
  pick(below: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  oneOf<Item>(items: readonly Item[]): Item {
    return items[this.pick(items.length)] as Item;
  }

  /** Changes, removes, repeats or inserts bytes at one to four places. */
  damage(bytes: Buffer): Buffer {
    let damaged = Buffer.from(bytes);
    for (let changes = 1 + this.pick(4); changes > 0; changes--) {
      const at = this.pick(damaged.length + 1);
      switch (this.pick(6)) {
        case 0:
          damaged = damaged.subarray(0, at);
          break;
        case 1:
          damaged = Buffer.concat([damaged.subarray(0, at), Buffer.of(this.pick(256)), damaged.subarray(at)]);
          break;
        case 2:
          damaged = Buffer.concat([damaged.subarray(0, at), damaged.subarray(Math.max(0, at - this.pick(20)))]);
          break;
        case 3:
          if (at < damaged.length) {
            damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << this.pick(8)), at);
          }
          break;
        default:
          if (at < damaged.length) {
            damaged.writeUInt8(this.oneOf(TELLING_BYTES) ?? this.pick(256), at);
          }
      }
    }
    return damaged;
  }
}

/** Bytes with a meaning for parsers: structure of JSON, signs, extremes. */
const TELLING_BYTES = [...Buffer.from('[]{}",:-0159eE\\u_tfn'), 0, 0x7f, 0x80, 0xdc, 0xff, undefined];
