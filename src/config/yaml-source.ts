import {
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  Scalar,
  visit,
  type Document,
  type Node,
} from 'yaml';
import type { Problem } from './problem.ts';

export type YamlPath = readonly (string | number)[];

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Files larger than this are no policy or configuration of ours. */
export const MAX_YAML_CHARS = 1_000_000;

/** A YAML file that remembers where everything stands. Never throws on what is in it. */
export class YamlSource {
  readonly path: string;
  /** Plain values; `undefined` when the text is no YAML, see `problems`. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
  readonly #text: string;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed | null;

  constructor(path: string, text: string) {
    this.path = path;
    this.#text = text;
    if (text.length > MAX_YAML_CHARS) {
      this.#document = null;
      const message = `the file is longer than ${MAX_YAML_CHARS} characters`;
      this.problems = [{ path, line: 0, column: 0, message }];
      return;
    }
    const problems: Problem[] = [];
    const document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      stringKeys: true,
      version: '1.2',
    });
    this.#document = document;
    for (const error of [...document.errors, ...document.warnings]) {
      const at = this.#lines.linePos(error.pos[0]);
      problems.push({ path, line: at.line, column: at.col, message: syntaxMessage(error.message) });
    }
    if (problems.length === 0) {
      try {
        this.value = document.toJS({ maxAliasCount: 50 }) as unknown;
      } catch (error) {
        const at = this.#lines.linePos(unresolvedAlias(document) ?? 0);
        const message = syntaxMessage(String(error));
        problems.push({ path, line: at.line, column: at.col, message });
      }
    }
    this.problems = problems;
  }

  /** Where the value at `path` stands; with `key`, where its key does. The nearest parent's if absent. */
  at(path: YamlPath, key = false): Position {
    const document = this.#document;
    if (document === null) return { line: 1, column: 1 };
    for (let length = path.length; length > 0; length -= 1) {
      const node = this.#node(path.slice(0, length), key || length < path.length);
      if (node?.range) return this.#position(node.range[0]);
    }
    const range = document.contents?.range;
    return this.#position(range ? range[0] : 0);
  }

  /** Where the character at `offset` of the string at `path` stands, as well as can be told. */
  within(path: YamlPath, offset: number): Position {
    const node = this.#node(path, false);
    if (!isScalar(node) || !node.range || typeof node.value !== 'string') return this.at(path);
    const quoted = node.type === Scalar.QUOTE_DOUBLE || node.type === Scalar.QUOTE_SINGLE;
    const start = node.range[0] + (quoted ? 1 : 0);
    const verbatim = this.#text.startsWith(node.value, start);
    return this.#position(verbatim ? start + offset : node.range[0]);
  }

  problem(path: YamlPath, message: string, suggestion?: string, key = false): Problem {
    const at = this.at(path, key);
    return { path: this.path, ...at, message, ...(suggestion === undefined ? {} : { suggestion }) };
  }

  #node(path: YamlPath, key: boolean): Node | null {
    const document = this.#document;
    if (document === null) return null;
    if (key && path.length > 0) {
      const parent = document.getIn(path.slice(0, -1), true);
      const name = path[path.length - 1];
      if (isMap(parent)) {
        for (const pair of parent.items) {
          if (isPair(pair) && isScalar(pair.key) && String(pair.key.value) === String(name)) {
            return pair.key;
          }
        }
      }
    }
    const node: unknown = document.getIn(path, true);
    return isNode(node) ? node : null;
  }

  #position(offset: number): Position {
    const at = this.#lines.linePos(offset);
    return { line: Math.max(1, at.line), column: Math.max(1, at.col) };
  }
}

function syntaxMessage(message: string): string {
  const plain = message.replace(/^\w*Error: /, '').split('\n', 1)[0] ?? '';
  const text = plain.charAt(0).toLowerCase() + plain.slice(1).replace(/\.$/, '');
  if (/alias/i.test(text)) return `${text} (a value that begins with \`*\` needs quotes)`;
  if (/tag/i.test(text)) return `${text} (a value that begins with \`!\` needs quotes)`;
  return text;
}

/** Offset of the first alias without an anchor, if there is one. */
function unresolvedAlias(document: Document.Parsed): number | undefined {
  let offset: number | undefined;
  visit(document, {
    Alias(_key, node) {
      if (node.resolve(document) !== undefined) return undefined;
      offset = node.range?.[0];
      return visit.BREAK;
    },
  });
  return offset;
}
