/** Settings as a shell, a container runtime or a program reads them. */
import type { Setting } from './client-env.ts';

export const SHELLS = ['sh', 'fish', 'powershell', 'json', 'docker'] as const;
export type Shell = (typeof SHELLS)[number];

export function isShell(name: string): name is Shell {
  return SHELLS.some((shell) => shell === name);
}

/**
 * Text to evaluate (`sh`, `fish`, `powershell`), one JSON object (`json`), or a file for
 * `docker run --env-file` (`docker`). Ends with a newline. Throws a `RangeError` for a value that the
 * form cannot carry.
 */
export function shellLines(settings: readonly Setting[], shell: Shell): string {
  if (shell === 'json') {
    const object = Object.fromEntries(settings.map(({ name, value }) => [name, value]));
    return `${JSON.stringify(object, null, 2)}\n`;
  }
  return settings.map((setting) => `${line(setting, shell)}\n`).join('');
}

function line({ name, value }: Setting, shell: Exclude<Shell, 'json'>): string {
  switch (shell) {
    case 'sh':
      // Nothing but the quote itself is special between single quotes.
      return `export ${name}='${value.replaceAll("'", `'\\''`)}'`;
    case 'fish':
      return `set -gx ${name} '${value.replace(/[\\']/g, '\\$&')}'`;
    case 'powershell':
      // PowerShell takes typographic quotes for quotes.
      return `$env:${name} = '${value.replace(/['\u2018-\u201b]/g, '$&$&')}'`;
    case 'docker':
      // Taken literally to the end of the line: there is no quoting.
      if (/[\r\n]/.test(value)) {
        throw new RangeError(`the value of \`${name}\` has a line break, which an env file cannot`);
      }
      return `${name}=${value}`;
  }
}
