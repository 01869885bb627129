import { asDecoded, type BegunEncoding, type Decoded, type EncodedPayload, type EntryCodec } from '../codec/index.js';
import { ValueRefusedError } from '../errors/index.js';
import type { LocalMark, StoredValue, DeferredJson } from '../local/index.js';
import type { EntryLife } from './entry-options.js';
import type { Flight } from './flight.js';
import type { LocalValues } from './local-values.js';
import type { ValueCheck } from './value-check.js';

export interface EntryToWrite {
  readonly key: string;
  readonly value: unknown;
  readonly life: EntryLife;
  readonly flight: Flight;
  /** How long its loader took, in milliseconds; 0 for a `set`. */
  readonly loadMs: number;
  readonly tags: readonly string[];
  /** Its tags as they were when the making of the value began. */
  readonly marks: readonly LocalMark[] | undefined;
  /** The check that the value must pass before it is stored; the check itself reports a mismatch. */
  readonly check: ValueCheck | undefined;
}

export interface EncoderListener {
  /** The value can't be cached. */
  onRefused(key: string, reason: string): void;
  /** Instances of these classes are kept as plain objects. */
  onFlattened(key: string, classNames: readonly string[]): void;
}

/** An entry that is ready to be stored, in the form of each tier. */
export interface PreparedEntry {
  readonly entry: EntryToWrite;
  readonly forLocal: StoredValue | DeferredJson;
  readonly payload: EncodedPayload;
}

/** Brings the values of one namespace into the form of each tier. A value that can't be cached is reported. */
export class EntryEncoder {
  constructor(
    private readonly codec: EntryCodec,
    private readonly values: LocalValues,
    private readonly listener: EncoderListener,
  ) {}

  /**
   * Checks and encodes a value. The result is a promise only for an asynchronous check and for a large value, which is
   * compressed off the event loop.
   * @returns `undefined` if the value can't be cached
   * @param mayKeepText whether L1 may keep the JSON text, because the caller does not need the value itself
   */
  prepare(entry: EntryToWrite, mayKeepText: boolean): PreparedEntry | undefined | Promise<PreparedEntry | undefined> {
    const { key, value, check } = entry;
    if (this.codec.isPlain && entry.tags.length > 0) {
      this.listener.onRefused(key, 'The value is not cached: text for other programs (format) carries no tags');
      return undefined;
    }
    const admitting = check?.admits(key, value) ?? true;
    if (admitting instanceof Promise) {
      return admitting.then((isAdmitted) => (isAdmitted ? this.encode(entry, mayKeepText) : undefined));
    }
    return admitting ? this.encode(entry, mayKeepText) : undefined;
  }

  /**
   * Encodes a value. The copy for L1 is made before any wait, so that later changes by the value's owner reach no tier.
   */
  private encode(
    entry: EntryToWrite,
    mayKeepText: boolean,
  ): PreparedEntry | undefined | Promise<PreparedEntry | undefined> {
    try {
      const textFrom = mayKeepText ? this.values.textFrom : Infinity;
      const begun = this.codec.beginEncoding(entry.value, textFrom);
      const { payload, flattened } = begun;
      if (flattened.length > 0) {
        this.listener.onFlattened(entry.key, flattened);
      }
      const forLocal = begun.exact ? this.localForm(entry.value, begun, textFrom) : undefined;
      const preparing =
        payload instanceof Promise
          ? payload.then((written) => this.complete(entry, written, forLocal))
          : this.complete(entry, payload, forLocal);
      return preparing instanceof Promise ? preparing.catch((error) => this.refuse(entry, error)) : preparing;
    } catch (error) {
      return this.refuse(entry, error);
    }
  }

  private localForm(
    value: unknown,
    { isTree, isAscii, text, textBytes }: BegunEncoding,
    textFrom: number,
  ): StoredValue | DeferredJson {
    return isTree && text.length >= textFrom
      ? this.values.unread(text, textBytes > text.length)
      : this.values.storable({ value, isTree, isAscii }, 'given');
  }

  private refuse({ key }: EntryToWrite, error: unknown): undefined {
    this.listener.onRefused(key, error instanceof ValueRefusedError ? error.message : 'the codec failed');
  }

  /**
   * Completes the preparation of a write. When L1 may not keep the given value, it keeps what Redis would return: every
   * tier gives the same value.
   */
  private complete(
    entry: EntryToWrite,
    payload: EncodedPayload,
    forLocal: StoredValue | DeferredJson | undefined,
  ): PreparedEntry | Promise<PreparedEntry> {
    if (forLocal !== undefined) {
      return { entry, forLocal, payload };
    }
    const reading = this.codec.readBack(payload);
    const prepared = ({ value }: Decoded): PreparedEntry => ({
      entry,
      forLocal: this.values.storable(asDecoded(value), 'decoded'),
      payload,
    });
    return reading instanceof Promise ? reading.then(prepared) : prepared(reading);
  }
}
