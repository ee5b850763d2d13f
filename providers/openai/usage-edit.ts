/**
 * Asking for usage on the client's behalf, and hiding that it was asked. With
 * `stream_options.include_usage` a chat stream gains one chunk (no choices, the usage) and every
 * other chunk a `"usage":null`; a client that did not ask sees neither. All else passes byte for byte.
 */
import type { TextEdit } from '../../src/core/provider.ts';
import { scanObject } from './json-scan.ts';
import { asksForUsage } from './request-body.ts';
import { asRecord, parseRecord } from './seek.ts';

const ASK = '"include_usage":true';

/** @returns the body with usage asked for, or `null` when it cannot or need not be */
export function askForUsage(body: string): string | null {
  let from = -1;
  let to = -1;
  let times = 0;
  const whole = scanObject(body, (key, _keyStart, start, end) => {
    if (key !== 'stream_options') return;
    times++;
    from = start;
    to = end;
  });
  if (!whole || times > 1) return null;
  if (times === 0) {
    const brace = body.indexOf('{') + 1;
    return `${body.slice(0, brace)}"stream_options":{${ASK}},${body.slice(brace)}`;
  }
  const options = body.slice(from, to);
  const asking = options === 'null' ? `{${ASK}}` : withUsage(options);
  return asking === null ? null : body.slice(0, from) + asking + body.slice(to);
}

function withUsage(options: string): string | null {
  const parsed = parseRecord(options);
  if (parsed === null || asksForUsage(options)) return null;
  return JSON.stringify({ ...parsed, include_usage: true });
}

/** An event longer than this passes unread; those of interest are far smaller. */
const MAX_EVENT = 262_144;

/** Removes from an event stream what `askForUsage` brought about. */
export class UsageHider implements TextEdit {
  /** Of the event under way: not yet passed on. */
  private pending = '';
  /** Where in `pending` the current line begins, and how far it was searched for its end. */
  private line = 0;
  private searched = 0;
  /** The event outgrew the cap: pass on what comes until it ends. */
  private passing = false;
  /** The last event ended in a CR whose LF may follow; it shares that event's fate. */
  private lateLf: 'none' | 'pass' | 'drop' = 'none';

  write(text: string): string {
    let out = '';
    if (this.lateLf !== 'none' && text !== '') {
      if (text.charCodeAt(0) === 10) {
        if (this.lateLf === 'pass') out = '\n';
        text = text.slice(1);
      }
      this.lateLf = 'none';
    }
    this.pending += text;
    for (let end = this.eventEnd(); end > 0; end = this.eventEnd()) {
      const event = this.pending.slice(0, end);
      const shown = this.passing ? event : withoutUsage(event);
      out += shown;
      this.passing = false;
      this.pending = this.pending.slice(end);
      this.line = this.searched = 0;
      if (this.pending === '' && event.endsWith('\r')) {
        this.lateLf = shown === '' ? 'drop' : 'pass';
      }
    }
    if (this.passing || this.pending.length > MAX_EVENT) out += this.passOn();
    return out;
  }

  end(): string {
    const rest = this.passing ? this.pending : withoutUsage(this.pending);
    this.pending = '';
    return rest;
  }

  /** Gives out the complete lines' text; the line under way stays, to recognise an empty one. */
  private passOn(): string {
    this.passing = true;
    const cut = this.pending.length;
    const shown = this.pending;
    // A line that has begun with something cannot be the empty one that ends the event.
    this.line = this.line < cut ? -1 : 0;
    this.pending = '';
    this.searched = 0;
    return shown;
  }

  /** Offset just after the empty line that ends the event under way, or 0. */
  private eventEnd(): number {
    for (;;) {
      const eol = lineEnd(this.pending, this.searched);
      if (eol < 0) {
        this.searched = this.pending.length;
        return 0;
      }
      const cr = this.pending.charCodeAt(eol) === 13;
      const crAtEnd = cr && eol + 1 === this.pending.length;
      const empty = eol === this.line;
      if (crAtEnd && !empty) {
        // Whether a LF belongs to this line's end is not known yet.
        this.searched = eol;
        return 0;
      }
      const next = cr && this.pending.charCodeAt(eol + 1) === 10 ? eol + 2 : eol + 1;
      this.line = this.searched = next;
      if (empty) return next;
    }
  }
}

function lineEnd(text: string, from: number): number {
  const lf = text.indexOf('\n', from);
  const cr = text.indexOf('\r', from);
  return cr >= 0 && (lf < 0 || cr < lf) ? cr : lf;
}

/** The event as the client would have got it unasked; `''` when it would not have come at all. */
function withoutUsage(event: string): string {
  if (!event.includes('"usage"')) return event;
  const lines = event.split(/\r\n|\n|\r/).filter((line) => line.startsWith('data:'));
  const json = lines.map((line) => line.slice(5)).join('\n');
  const chunk = parseRecord(json);
  if (chunk === null) return event;
  const choices = chunk['choices'];
  if (Array.isArray(choices) && choices.length === 0 && asRecord(chunk['usage']) !== null)
    return '';
  if (chunk['usage'] !== null || lines.length !== 1) return event;
  const at = event.indexOf(json);
  return event.slice(0, at) + withoutNullUsage(json) + event.slice(at + json.length);
}

/** Cuts the top-level member `"usage":null` out, with one of its commas. */
function withoutNullUsage(json: string): string {
  let from = -1;
  let to = -1;
  let previousEnd = -1;
  let nextStart = -1;
  let end = -1;
  scanObject(json, (key, keyStart, _valueStart, valueEnd) => {
    if (key === 'usage') {
      from = keyStart;
      to = valueEnd;
      previousEnd = end;
    } else if (from >= 0 && nextStart < 0) nextStart = keyStart;
    end = valueEnd;
  });
  if (from < 0) return json;
  if (previousEnd >= 0) return json.slice(0, previousEnd) + json.slice(to);
  return json.slice(0, from) + json.slice(nextStart >= 0 ? nextStart : to);
}
