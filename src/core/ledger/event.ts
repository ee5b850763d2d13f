import type { JsonObject, Seq } from '../units.ts';

export const EVENT_TYPES = [
  'system_started',
  'system_stopped',
  'policy_updated',
  'identity_registered',
  'identity_rotated',
  'identity_revoked',
  'identity_deleted',
  'intent_submitted',
  'intent_decided',
  'usage_observed',
  'usage_settled',
  'constraint_observed',
  'reset_observed',
  'drift_detected',
  'provider_poll_observed',
  'provider_error',
  'forecast_computed',
  'policy_triggered',
  'throttle_advised',
  'alert_raised',
  'alert_cleared',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** The envelope readers see; names as in the public contract. Times are RFC 3339 UTC. */
export interface LedgerEvent {
  readonly seq: Seq;
  readonly event_id: string;
  readonly type: EventType;
  readonly schema_version: number;
  readonly ts_event: string;
  readonly ts_ingest: string;
  readonly agent_id: string;
  readonly identity_id: string;
  readonly workload_id: string;
  readonly scope_id: string;
  readonly provider_id?: string;
  readonly pool_id?: string;
  readonly correlation_id: string;
  readonly causation_id: string;
  readonly payload: JsonObject;
}
