/** Values that must never be printed: read when they are needed, hidden everywhere else. */
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { errorCode } from './problem.ts';
import { bad, good, shown, type Read } from './scalars.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A secret or where it is to be found. Printing, serialising and inspecting show only the latter. */
export class Secret {
  readonly #label: string;
  readonly #read: () => Read<string>;

  private constructor(label: string, read: () => Read<string>) {
    this.#label = label;
    this.#read = read;
  }

  static fromEnvironment(name: string, env: Environment): Secret {
    return new Secret(`env:${name}`, () => {
      const value = env[name];
      return value === undefined || value === ''
        ? bad(`environment variable \`${name}\` is not set`)
        : good(value);
    });
  }

  /** One trailing line break is not part of the secret. */
  static fromFile(path: string): Secret {
    return new Secret(`file:${path}`, () => {
      try {
        const value = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
        return value === '' ? bad(`file \`${path}\` is empty`) : good(value);
      } catch (error) {
        return bad(`file \`${path}\` cannot be read (${errorCode(error)})`);
      }
    });
  }

  /** For what may stand in the configuration file itself, such as a proxy URL with a password. */
  static literal(value: string, label: string): Secret {
    return new Secret(label, () => good(value));
  }

  /** Reads it now. A failure names the variable or file, never a value. */
  reveal(): Read<string> {
    return this.#read();
  }

  /** Where it comes from, e.g. `env:GITHUB_TOKEN`. */
  get label(): string {
    return this.#label;
  }

  toString(): string {
    return `[secret ${this.#label}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** Reader of `env:NAME` and `file:PATH`; `resolve` makes a path absolute. */
export function secretReader(
  env: Environment,
  resolve: (path: string) => string,
): (value: unknown) => Read<Secret> {
  return (value) => {
    const form = 'write `env:NAME` or `file:PATH`';
    if (typeof value !== 'string') return bad(`a secret cannot be ${kindOf(value)}: ${form}`);
    const name = /^env:(.*)$/s.exec(value)?.[1];
    if (name !== undefined) {
      if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return good(Secret.fromEnvironment(name, env));
      return bad(`${shown(name)} is no name of an environment variable`);
    }
    const path = /^file:(.+)$/s.exec(value)?.[1];
    if (path !== undefined) return good(Secret.fromFile(resolve(path)));
    // What stands there may be the secret itself, so it is not quoted back.
    return bad(`a secret must not stand in the file: ${form}`);
  };
}

function kindOf(value: unknown): string {
  return value === null ? 'empty' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}
