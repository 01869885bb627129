import { asDecoded, type Decoded, type EncodedPayload, type Encoding, type EntryCodec } from '../codec/index.js';
import type { ValuesMode } from '../config/index.js';
import { type RefusalReason, ValueRefusedError } from '../errors/index.js';
import { DeferredJson, type StoredValue, type TagVersion } from '../local/index.js';
import type { Sealing } from '../redis/index.js';
import type { EntryLife } from './entry-options.js';
import type { Flight } from './flight.js';
import type { LocalValues } from './local-tier.js';
import type { ValueCheck } from './value-check.js';

/** An entry that is to be stored. */
export interface EntryToWrite {
  readonly key: string;
  readonly value: unknown;
  readonly life: EntryLife;
  readonly flight: Flight;
  /** How long its loader took, in milliseconds; 0 for a `set`. */
  readonly loadMs: number;
  readonly tags: readonly string[];
  /** Its tags as they were when the making of the value began. */
  readonly tagVersions: readonly TagVersion[] | undefined;
  /** The check that the value must pass before it is stored; the check itself reports a mismatch. */
  readonly check: ValueCheck | undefined;
  /** The mode of its call; absent: that of the namespace. */
  readonly values: ValuesMode | undefined;
  /** Whether instances of unregistered classes become plain objects; absent: as the namespace says. */
  readonly flatten: boolean | undefined;
}

interface EncoderListener {
  /** The value can't be cached. @param className the class whose instances can't be restored, if that is the reason */
  onRefused(key: string, refusal: RefusalReason | 'option' | 'codec', reason: string, className?: string): void;
}

/** An entry that is ready to be stored, in the form of each tier. */
export interface PreparedEntry {
  readonly entry: EntryToWrite;
  readonly forLocal: StoredValue | DeferredJson;
  readonly payload: EncodedPayload;
  /** Whether `forLocal` equals the given value. */
  readonly isExact: boolean;
  readonly sealing: Sealing;
}

/** An entry whose value has been read, and is not compressed yet. */
export interface BegunEntry {
  readonly entry: EntryToWrite;
  readonly key: string;
  readonly encoding: Encoding;
  readonly textBytes: number;
  /** What L1 keeps; `undefined` if it may not keep the given value. */
  readonly forLocal: StoredValue | DeferredJson | undefined;
}

/** Brings the values of one namespace into the form of each tier. A value that can't be cached is reported. */
export class EntryEncoder {
  constructor(
    private readonly codec: EntryCodec,
    private readonly values: LocalValues,
    private readonly listener: EncoderListener,
  ) {}

  /**
   * Checks and encodes a value: {@link begin}, and {@link complete} at once. The result is a promise only for an
   * asynchronous check and for a large value, which is compressed off the event loop.
   * @returns `undefined` if the value can't be cached
   */
  prepare(entry: EntryToWrite, mayKeepText: boolean): PreparedEntry | undefined | Promise<PreparedEntry | undefined> {
    const beginning = this.begin(entry, mayKeepText);
    return beginning instanceof Promise
      ? beginning.then((begun) => begun && this.complete(begun))
      : beginning && this.complete(beginning);
  }

  /**
   * Checks and reads a value. It is read before any wait, so that later changes by its owner reach no tier.
   * @returns `undefined` if the value can't be cached
   * @param mayKeepText whether L1 may keep the JSON text, because the caller does not need the value itself
   */
  begin(entry: EntryToWrite, mayKeepText: boolean): BegunEntry | undefined | Promise<BegunEntry | undefined> {
    const { key, value, check } = entry;
    if (this.codec.isPlain && entry.tags.length > 0) {
      this.listener.onRefused(
        key,
        'option',
        'The value is not cached: text for other programs (format) carries no tags',
      );
      return undefined;
    }
    const admitting = check?.admits(key, value) ?? true;
    if (admitting instanceof Promise) {
      const begun = this.read(entry, mayKeepText);
      return admitting.then((isAdmitted) => (isAdmitted ? begun : undefined));
    }
    return admitting ? this.read(entry, mayKeepText) : undefined;
  }

  /** Compresses a value that was read. @returns `undefined` if it can't be cached after all */
  complete({ entry, encoding, forLocal }: BegunEntry): PreparedEntry | undefined | Promise<PreparedEntry | undefined> {
    try {
      const payload = encoding.payload();
      const preparing =
        payload instanceof Promise
          ? payload.then((written) => this.withLocalForm(entry, written, forLocal))
          : this.withLocalForm(entry, payload, forLocal);
      return preparing instanceof Promise ? preparing.catch((error) => this.refuse(entry, error)) : preparing;
    } catch (error) {
      return this.refuse(entry, error);
    }
  }

  private read(entry: EntryToWrite, mayKeepText: boolean): BegunEntry | undefined {
    try {
      const textFrom = mayKeepText ? this.values.textFrom(entry.values) : Infinity;
      const encoding = this.codec.encode(entry.value, textFrom, entry.flatten);
      const forLocal = encoding.exact ? this.localForm(entry, encoding, textFrom) : undefined;
      return { entry, key: entry.key, encoding, textBytes: encoding.textBytes, forLocal };
    } catch (error) {
      return this.refuse(entry, error);
    }
  }

  private localForm(
    { value, values }: EntryToWrite,
    { isTree, isAscii, text, textBytes }: Encoding,
    textFrom: number,
  ): StoredValue | DeferredJson {
    return isTree && text.length >= textFrom
      ? this.values.deferred(text, textBytes > text.length, values)
      : this.values.storable({ value, isTree, isAscii }, 'given', values);
  }

  private refuse({ key }: EntryToWrite, error: unknown): undefined {
    const isKnown = error instanceof ValueRefusedError;
    const [refusal, reason] = isKnown
      ? ([error.reason, error.message] as const)
      : (['codec', 'the codec failed'] as const);
    this.listener.onRefused(key, refusal, reason, isKnown ? error.className : undefined);
  }

  /**
   * Completes the preparation of a write. When L1 may not keep the given value, it keeps what Redis would return: every
   * tier gives the same value.
   */
  private withLocalForm(
    entry: EntryToWrite,
    payload: EncodedPayload,
    forLocal: StoredValue | DeferredJson | undefined,
  ): PreparedEntry | Promise<PreparedEntry> {
    if (forLocal !== undefined) {
      return { entry, forLocal, payload, isExact: true, sealing: { createdAtMs: undefined } };
    }
    const reading = this.codec.readBack(payload);
    const prepared = ({ value }: Decoded): PreparedEntry => ({
      entry,
      forLocal: this.values.storable(asDecoded(value), 'decoded', entry.values),
      payload,
      isExact: false,
      sealing: { createdAtMs: undefined },
    });
    return reading instanceof Promise ? reading.then(prepared) : prepared(reading);
  }
}
