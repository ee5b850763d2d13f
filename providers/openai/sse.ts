/**
 * Server-sent events, read as they come: any chunking, CR, LF or CRLF, several `data` lines, comments,
 * lines of any length. Nothing of an event's data is kept here; it is passed on in pieces.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export interface EventSink {
  /** A piece of the event's data; a `\n` joins `data` lines. */
  data(piece: string): void;
  /** The event is complete. `name` is its `event` field or `''`. */
  end(name: string): void;
}

const MAX_NAME = 128;
/** Longest field name that matters, with its colon and the space. */
const MAX_PREFIX = 7;

type State = 'start' | 'data' | 'event' | 'skip';

export class EventReader {
  private readonly sink: EventSink;
  private state: State = 'start';
  private prefix = '';
  private name = '';
  private dataLines = 0;
  private afterCr = false;
  private first = true;

  constructor(sink: EventSink) {
    this.sink = sink;
  }

  write(text: string): void {
    let at = 0;
    if (this.first && text !== '') {
      this.first = false;
      if (text.charCodeAt(0) === 0xfeff) at = 1;
    }
    if (this.afterCr && at < text.length) {
      this.afterCr = false;
      if (text.charCodeAt(at) === 10) at++;
    }
    const hasCr = text.includes('\r', at);
    while (at < text.length) {
      const lf = text.indexOf('\n', at);
      const cr = hasCr ? text.indexOf('\r', at) : -1;
      const eol = cr >= 0 && (lf < 0 || cr < lf) ? cr : lf;
      if (eol < 0) {
        this.piece(text.slice(at));
        return;
      }
      if (eol > at) this.piece(text.slice(at, eol));
      this.endLine();
      at = eol + 1;
      if (eol === cr) {
        if (at === text.length) this.afterCr = true;
        else if (text.charCodeAt(at) === 10) at++;
      }
    }
  }

  private piece(piece: string): void {
    if (this.state === 'data') this.sink.data(piece);
    else if (this.state === 'event') this.addName(piece);
    else if (this.state === 'start') this.begin(this.prefix === '' ? piece : this.prefix + piece);
  }

  /** The line so far, until its field is known. */
  private begin(line: string): void {
    if (line.startsWith('data:')) {
      if (line.length === 5) this.prefix = line;
      else this.beginData(line.charCodeAt(5) === 32 ? line.slice(6) : line.slice(5));
    } else if (line.startsWith('event:')) {
      this.state = 'event';
      this.prefix = '';
      this.name = '';
      this.addName(line.slice(6));
    } else if (line.length < MAX_PREFIX && couldBeField(line)) this.prefix = line;
    else {
      this.state = 'skip';
      this.prefix = '';
    }
  }

  private beginData(rest: string): void {
    this.state = 'data';
    this.prefix = '';
    if (this.dataLines++ > 0) this.sink.data('\n');
    if (rest !== '') this.sink.data(rest);
  }

  private addName(piece: string): void {
    if (this.name.length < MAX_NAME) this.name += piece.slice(0, MAX_NAME);
  }

  private endLine(): void {
    if (this.state === 'start') {
      if (this.prefix === '') this.endEvent();
      else if (this.prefix === 'data:' || this.prefix === 'data') this.beginData('');
    }
    this.state = 'start';
    this.prefix = '';
  }

  private endEvent(): void {
    if (this.dataLines > 0) this.sink.end(this.name.trim());
    this.dataLines = 0;
    this.name = '';
  }
}

function couldBeField(line: string): boolean {
  return 'data:'.startsWith(line) || 'event:'.startsWith(line);
}
