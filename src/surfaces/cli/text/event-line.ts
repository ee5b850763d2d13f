import type { LedgerEvent } from '../../../core/ledger/event.ts';
import type { JsonObject, JsonValue } from '../../../core/units.ts';
import { countText, isSentinel, nameText, spanText } from '../../../query/wording.ts';
import { numberOf, textOf } from '../../../query/payload.ts';

/** One event as one line for people, without a newline. */
export function eventLine(event: LedgerEvent): string {
  const time = event.ts_event.slice(0, 19).replace('T', ' ');
  const who = isSentinel(event.agent_id) ? '-' : nameText(event.agent_id);
  const about = event.pool_id ?? event.provider_id ?? '-';
  const columns = [
    time,
    String(event.seq).padStart(7),
    event.type.padEnd(19),
    who.padEnd(14),
    event.correlation_id.padEnd(10),
    about.padEnd(24),
  ];
  return `${columns.join('  ')}  ${printable(summary(event))}`.trimEnd();
}

/** Payloads hold what origins and clients sent: nothing of it may steer the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}

function summary({ type, payload }: LedgerEvent): string {
  switch (type) {
    case 'intent_submitted':
      return [textOf(payload, 'method'), address(payload), textOf(payload, 'model')]
        .filter((part) => part !== null && part !== '')
        .join(' ');
    case 'intent_decided':
      return decided(payload);
    case 'usage_observed':
      return observed(payload);
    case 'usage_settled':
      return settled(payload);
    default:
      return rest(payload);
  }
}

function address(payload: JsonObject): string {
  return `${textOf(payload, 'host') ?? ''}${textOf(payload, 'path') ?? ''}`;
}

function decided(payload: JsonObject): string {
  const wait = numberOf(payload, 'wait_ms');
  const parts = [
    textOf(payload, 'decision') ?? '',
    textOf(payload, 'code'),
    wait !== null && wait > 0 ? `wait ${spanText(wait)}` : null,
    textOf(payload, 'reason'),
  ];
  return parts.filter((part) => part !== null).join(' ');
}

function observed(payload: JsonObject): string {
  const remaining = numberOf(payload, 'remaining');
  const limit = numberOf(payload, 'limit');
  const left = remaining === null ? 'left not said' : `${countText(remaining)} left`;
  return limit === null ? left : `${left} of ${countText(limit)}`;
}

function settled(payload: JsonObject): string {
  const status = numberOf(payload, 'status');
  const took = numberOf(payload, 'duration_ms');
  const parts = [
    textOf(payload, 'ending') ?? '',
    status === null ? null : String(status),
    took === null ? null : `in ${spanText(took)}`,
  ];
  return parts.filter((part) => part !== null).join(' ');
}

/** Simple members of any other payload. */
function rest(payload: JsonObject): string {
  return Object.entries(payload)
    .filter((entry): entry is [string, Exclude<JsonValue, object>] => typeof entry[1] !== 'object')
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ');
}
