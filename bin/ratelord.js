#!/usr/bin/env node
// Starts ratelord, built or unbuilt. Old runtimes must get as far as the version check, so nothing in
// this file may be newer than Node 12 can parse: no top-level await, `?.`, `??` or `import.meta`
// beyond its `url`.
import { existsSync } from 'fs';

// 22.18 strips types by default; 22.19 is the first that the dependencies all run on.
var NEEDED = [22, 19];

var found = process.versions.node;
var parts = found.split('.').map(Number);
var recent = parts[0] > NEEDED[0] || (parts[0] === NEEDED[0] && parts[1] >= NEEDED[1]);

var source = new URL('../src/main.ts', import.meta.url);
var built = new URL('../dist/src/main.js', import.meta.url);

function refuse(line) {
  process.stderr.write('ratelord: ' + line + '\n');
  process.exitCode = 1;
}

if (!recent) {
  refuse(
    'found Node ' +
      found +
      ', needs ' +
      NEEDED.join('.') +
      ' or newer: install one from https://nodejs.org' +
      (existsSync(source)
        ? ', or use the one of this checkout with `npx ratelord` or `npm start`'
        : ''),
  );
} else if (existsSync(source)) {
  run(source);
} else if (existsSync(built)) {
  run(built);
} else {
  refuse('neither `src/main.ts` nor `dist/src/main.js` is there: install the package again');
}

function run(entry) {
  import(entry.href)
    .then(function (program) {
      return program.main(process.argv.slice(2));
    })
    .then(
      function (code) {
        if (typeof code === 'number') process.exitCode = code;
      },
      function (error) {
        refuse((error && error.stack) || String(error));
      },
    );
}
