/**
 * Where the daemon's time goes: a CPU profile under one of the loads.
 *
 *     node bench/profile.ts FOLDER [get | chat] [seconds]
 */
import { GET_PATH } from './cases/paths.ts';
import { startRatelord } from './contestants.ts';
import { apply } from './load/load.ts';
import { promptBody } from './origin/bodies.ts';
import { openStage } from './stage.ts';

const [folder = '', what = 'get', seconds = '8'] = process.argv.slice(2);
if (folder === '') {
  process.stderr.write('say where the profile is to be written: node bench/profile.ts FOLDER\n');
  process.exit(2);
}
const stage = await openStage();
try {
  const node = ['--cpu-prof', `--cpu-prof-dir=${folder}`];
  const ours = await startRatelord(stage, { node });
  const chat = what === 'chat';
  const path = chat ? `${ours.openai}/v1/chat/completions` : ours.github + GET_PATH;
  const seen = await apply(
    {
      url: ours.url,
      path,
      method: chat ? 'POST' : 'GET',
      body: chat ? promptBody() : null,
      connections: 32,
      seconds: Number(seconds),
    },
    ours.process,
    stage.folder,
  );
  process.stdout.write(`${JSON.stringify(seen)}\n`);
  await ours.process.stop();
} finally {
  stage.close();
}
