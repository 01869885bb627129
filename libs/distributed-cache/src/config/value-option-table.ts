import { DEFAULTS } from './defaults.js';
import type { OptionLevel } from './option-description.js';
import type { ClassRegistration, CodecOptions, CompressionOptions, EncryptionOptions } from './value-options.js';

export const COMPRESSION_OPTIONS: OptionLevel<CompressionOptions> = {
  thresholdBytes: {
    type: 'number',
    default: `${DEFAULTS.compressionThresholdBytes}`,
    variable: 'CACHE_COMPRESSION_THRESHOLD',
    meaning: 'serialized size in bytes from which a value is compressed',
  },
  codec: {
    type: 'string',
    default: `'${DEFAULTS.compressionCodec}'`,
    meaning:
      '`deflate`, `gzip`, `brotli`, `zstd` (a Node that has it), `lz4` (package lz4-napi), `snappy` (package snappy)',
  },
};

export const ENCRYPTION_OPTIONS: OptionLevel<EncryptionOptions> = {
  keys: { type: 'object', default: '', meaning: '32 bytes each by id: a Buffer, or text in base64 or hexadecimal' },
  current: { type: 'string', default: '', meaning: 'id of the key that is written with; the others only read' },
};

export const CODEC_OPTIONS: OptionLevel<CodecOptions> = {
  classes: { type: 'object', default: '', meaning: 'classes whose instances come back as instances, by stored name' },
};

export const CLASS_OPTIONS: OptionLevel<ClassRegistration> = {
  class: { type: 'class', default: '', meaning: 'the class itself' },
  version: { type: 'number', default: '1', meaning: 'version of what is stored' },
  serialize: { type: 'function', default: 'own properties', meaning: 'what is stored of an instance' },
  deserialize: { type: 'function', default: 'own properties', meaning: 'the instance again' },
  migrate: {
    type: 'function',
    default: '',
    meaning: 'what an older version stored, as this one stores it; without it: a miss',
  },
};
