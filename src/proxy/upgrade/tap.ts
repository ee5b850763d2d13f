/** Lets a provider read what the origin says in a WebSocket, alongside the relay. */
import type { Claim } from '../../core/claim.ts';
import type { RawFields } from '../../core/head.ts';
import type { Provider, TapResult } from '../../core/provider.ts';
import { compressionOf } from './deflate.ts';
import { createMessageReader } from './messages.ts';
import type { MessageReader } from './messages.ts';

export type OriginTap = MessageReader;

export interface TapListener {
  told(result: TapResult): void;
  /** The stream cannot be read any further. */
  lost(reason: string): void;
}

/** The events worth reading are small; what is larger carries audio or text for the client. */
const MESSAGE_CAP_BYTES = 262_144;

/** @param fields of the 101; @returns `null` when the provider reads nothing here */
export function openTap(
  provider: Provider,
  claim: Claim,
  fields: RawFields,
  listener: TapListener,
): OriginTap | null {
  const tap = provider.messageTap?.(claim) ?? null;
  if (tap === null) return null;
  const compression = compressionOf(fields);
  if (compression === 'unknown') {
    listener.lost('an unknown extension was negotiated');
    return null;
  }
  return createMessageReader(
    {
      text(message) {
        const result = tap.message(message);
        if (result !== null) listener.told(result);
      },
      skipped(reason, rest) {
        if (rest) listener.lost(reason);
      },
    },
    compression === 'deflate',
    MESSAGE_CAP_BYTES,
  );
}
