/** Fields of answers whose quotas are so large that nobody ever waits for them. */
import { completionBody, issueBody } from './bodies.ts';

const RESETS_IN_S = 6 * 3600;

export interface Answer {
  readonly type: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
}

/** @param used what `x-ratelimit-used` says, so that it can rise as a real origin's does */
export function githubAnswer(used: string): Answer {
  return {
    type: 'application/json; charset=utf-8',
    fields: [
      ['x-github-request-id', 'C0DE:1A2B3C:4D5E6F:7A8B9C:65F0A1B2'],
      ['x-ratelimit-limit', '1000000000'],
      ['x-ratelimit-remaining', '990000000'],
      ['x-ratelimit-used', used],
      ['x-ratelimit-reset', String(Math.floor(Date.now() / 1000) + RESETS_IN_S)],
      ['x-ratelimit-resource', 'core'],
    ],
    body: issueBody(),
  };
}

export const OPENAI_FIELDS: Answer['fields'] = [
  ['x-request-id', 'req_0123456789abcdef'],
  ['openai-organization', 'bench'],
  ['openai-processing-ms', '12'],
  ['x-ratelimit-limit-requests', '100000000'],
  ['x-ratelimit-limit-tokens', '100000000000'],
  ['x-ratelimit-remaining-requests', '99999999'],
  ['x-ratelimit-remaining-tokens', '99999999000'],
  ['x-ratelimit-reset-requests', '1ms'],
  ['x-ratelimit-reset-tokens', '1ms'],
];

export function openaiAnswer(): Answer {
  return { type: 'application/json', fields: OPENAI_FIELDS, body: completionBody() };
}
