/** An event of a stream: its id and its data, the parts that are used here. */
export interface SseEvent {
  readonly id: string;
  readonly data: string;
}

/** Incremental parser of server-sent events; comments and other fields are passed over. */
export class SseParser {
  #rest = '';
  #id = '';
  #data: string[] = [];

  /** Events that `text` completes. */
  write(text: string): SseEvent[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.flatMap((line) => this.#line(line.replace(/\r$/, '')));
  }

  #line(line: string): SseEvent[] {
    if (line === '') return this.#dispatch();
    const match = /^(id|data): ?(.*)$/.exec(line);
    if (match?.[1] === 'id') this.#id = match[2] ?? '';
    if (match?.[1] === 'data') this.#data.push(match[2] ?? '');
    return [];
  }

  #dispatch(): SseEvent[] {
    if (this.#data.length === 0) return [];
    const event = { id: this.#id, data: this.#data.join('\n') };
    this.#data = [];
    return [event];
  }
}
