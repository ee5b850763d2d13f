/** Appends as fast as it is let, and prints what was committed; killed by its parent. */
import { writeSync } from 'node:fs';
import { openDataDir } from '../../src/store/data-dir.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { entry } from './entries.ts';

const opened = openDataDir(process.argv[2] ?? '');
if (!opened.ok) {
  writeSync(1, `${opened.message}\n`);
  process.exit(1);
}
const result = openSqliteStore({
  path: opened.dir.ledgerPath,
  clock: { now: () => ({ wall: Date.now(), mono: performance.now() }) },
  walCapBytes: 1 << 20,
});
if (!result.ok) throw new Error(result.message);
const { store } = result;

let acknowledged = 0;
store.onCommit((entries) => {
  acknowledged = entries.at(-1)?.seq ?? acknowledged;
  writeSync(1, `${String(acknowledged)}\n`);
});

let seq = store.stats().lastSeq + 1;
function work(): void {
  for (let n = 0; n < 30; n += 1) {
    const request = n % 3 === 0 ? seq : seq - (n % 3);
    store.append(entry(seq, { request, data: [seq, 'x'.repeat(seq % 300)] }));
    seq += 1;
  }
  setTimeout(work, 1);
}
work();
