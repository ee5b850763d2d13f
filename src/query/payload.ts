/** Reading event payloads: JSON of a known layout, but possibly written by another version. */
import type { JsonObject, JsonValue } from '../core/units.ts';

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function textOf(from: JsonObject, name: string): string | null {
  const value = from[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

export function numberOf(from: JsonObject, name: string): number | null {
  const value = from[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function flagOf(from: JsonObject, name: string): boolean | null {
  const value = from[name];
  return typeof value === 'boolean' ? value : null;
}

export function objectOf(from: JsonObject, name: string): JsonObject | null {
  const value = from[name];
  return isObject(value) ? value : null;
}

/** The objects of a list; anything else in it is left out. */
export function objectsOf(from: JsonObject, name: string): readonly JsonObject[] {
  const value = from[name];
  return Array.isArray(value) ? (value as readonly JsonValue[]).filter(isObject) : [];
}
