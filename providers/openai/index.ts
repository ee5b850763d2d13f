/** The OpenAI API. What is known of its quotas, and from where: README.md beside this file. */
import type { Claim } from '../../src/core/claim.ts';
import { field } from '../../src/core/head.ts';
import type { RequestHead, ResponseHead } from '../../src/core/head.ts';
import type { CredentialRef, Provider, TextEdit } from '../../src/core/provider.ts';
import { readRetryAfter } from '../dialects/retry-after.ts';
import { ID, classifyCharged, classifyUncharged } from './classify.ts';
import { endpointReader } from './endpoints.ts';
import type { EndpointKind } from './endpoints.ts';
import { fieldReader } from './fields.ts';
import { Memo, memoOf } from './memo.ts';
import { modelPools } from './pools.ts';
import { openaiProblem } from './problem.ts';
import { RealtimeTap } from './realtime.ts';
import { explainHead, isRefusal } from './refusal.ts';
import { modelName } from './request-body.ts';
import { chooseTap } from './taps.ts';
import { UsageHider, askForUsage } from './usage-edit.ts';

export interface OpenaiOptions {
  /** Ask for usage in chat streams whose client did not, and hide the answer from it. */
  readonly includeUsage?: boolean;
  /** Hosts that speak this API besides OpenAI's own. */
  readonly hosts?: readonly string[];
}

const HOSTS = ['api.openai.com', '.api.openai.com'];

const AUTHORIZATION: CredentialRef = { in: 'field', name: 'authorization', scheme: 'any' };
/** Browsers cannot set Authorization on a WebSocket; the key is then one of the subprotocols. */
const SUBPROTOCOL: CredentialRef = { in: 'field', name: 'sec-websocket-protocol', scheme: 'none' };

export function createOpenai(options: OpenaiOptions = {}): Provider {
  const includeUsage = options.includeUsage === true;
  const endpointOf = endpointReader();
  const poolsOf = modelPools(ID);
  const readFields = fieldReader();

  function memoFor(claim: Claim): Memo {
    return (
      memoOf(claim) ?? new Memo('other', poolsOf(claim.model ?? ''), claim.stream, 60, false, false)
    );
  }

  return {
    id: ID,
    hosts: [...HOSTS, ...(options.hosts ?? [])],
    origin: 'https://api.openai.com',
    bodyNeeds: (head) => (wantsBody(head, endpointOf(head).kind) ? 'json' : 'none'),
    credential,
    classify(head, body, estimates) {
      const endpoint = endpointOf(head);
      return endpoint.kind === 'other' || endpoint.kind === 'realtime'
        ? classifyUncharged(head, body, endpoint, poolsOf)
        : classifyCharged(head, body, endpoint, poolsOf, includeUsage, estimates);
    },
    observe(head, claim) {
      const memo = memoFor(claim);
      const found = readFields(head, memo.pools);
      if (memo.headOnly && isRefusal(head.status)) found.push(...explainHead(head, memo.pools));
      return found;
    },
    refusal(head, claim) {
      // Whoever has no money left is told no time: only the content says so.
      const told = isRefusal(head.status) && readRetryAfter(head).ms !== undefined;
      return told ? explainHead(head, memoFor(claim).pools) : [];
    },
    responseTap(head, claim) {
      const memo = memoFor(claim);
      return memo.headOnly ? null : chooseTap(head, memo);
    },
    messageTap(claim) {
      const memo = memoOf(claim);
      return memo !== null && memo.kind === 'realtime' ? new RealtimeTap(memo.pools) : null;
    },
    requestEdit(body, claim) {
      const memo = memoOf(claim);
      if (memo === null || !memo.mayAsk) return null;
      const edited = askForUsage(body);
      memo.asked = edited !== null;
      return edited;
    },
    responseEdit: (head, claim) => editFor(head, memoOf(claim)),
    sample(scope) {
      const model = scope.startsWith('model:') ? modelName(scope.slice(6)) : '';
      const body = JSON.stringify({ model, messages: [] });
      return { method: 'POST', path: '/v1/chat/completions', body };
    },
    problem: (refusal) => openaiProblem(refusal, memoFor(refusal.claim).patienceS),
  };
}

function credential(head: RequestHead): CredentialRef | null {
  if (field(head.fields, 'authorization') !== undefined) return AUTHORIZATION;
  if (!head.upgrade) return null;
  const protocols = field(head.fields, 'sec-websocket-protocol');
  return protocols?.includes('openai-insecure-api-key.') === true ? SUBPROTOCOL : null;
}

function wantsBody(head: RequestHead, kind: EndpointKind): boolean {
  if (kind === 'other' || kind === 'realtime' || head.contentLength === 0) return false;
  // An encoded body is not text; it is guessed by its length.
  if (field(head.fields, 'content-encoding') !== undefined) return false;
  const type = field(head.fields, 'content-type');
  return type === undefined || /json/i.test(type);
}

function editFor(head: ResponseHead, memo: Memo | null): TextEdit | null {
  if (memo === null || !memo.asked || head.status !== 200) return null;
  const type = field(head.fields, 'content-type') ?? '';
  return /^\s*text\/event-stream/i.test(type) ? new UsageHider() : null;
}
