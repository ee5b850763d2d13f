import { MemoryStore } from '../../src/store/memory.ts';
import { ledgerStoreSuite } from '../contract/ledger-store.suite.ts';

ledgerStoreSuite('memory', (time, notices) => {
  const store = new MemoryStore({
    clock: time,
    scheduler: time,
    onNotice: (notice) => void notices.push(notice),
  });
  return { store, dispose: () => store.close() };
});
