/** Every provider there is: an explicit list. */
import type { Provider } from '../src/core/provider.ts';
import { createGeneric } from './generic/index.ts';
import type { GenericOptions } from './generic/index.ts';
import { createGithub } from './github/index.ts';
import { createOpenai } from './openai/index.ts';
import type { OpenaiOptions } from './openai/index.ts';

export interface ProvidersOptions {
  /** `false` leaves a built-in one out. */
  readonly github?: { readonly hosts?: readonly string[] } | false;
  readonly openai?: OpenaiOptions | false;
  /** Hosts of the configuration's own, each group an id. */
  readonly generic?: readonly GenericOptions[];
}

/** Built-in ones first; of two that claim one host the first governs it. */
export function createProviders(options: ProvidersOptions = {}): Provider[] {
  const { github = {}, openai = {}, generic = [] } = options;
  const providers: Provider[] = [];
  if (github !== false) providers.push(createGithub(github));
  if (openai !== false) providers.push(createOpenai(openai));
  for (const one of generic) providers.push(createGeneric(one));
  return providers;
}
