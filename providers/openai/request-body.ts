/** What of a request's JSON text bears on its charge and on how its answer must be read. */
import { scanObject, stringAt } from './json-scan.ts';

export interface RequestFacts {
  model: string;
  /** The client's cap on output per choice; the smallest where it gave several names. */
  maxTokens: number | null;
  /** `n`, or `best_of` where that is more; at least 1. */
  choices: number;
  stream: boolean;
  /** `stream_options.include_usage` is true. */
  usageAsked: boolean;
  /** Characters of prompt-like text. */
  promptText: number;
  /** Prompt that arrived as token ids. */
  promptTokens: number;
  images: number;
  /** `service_tier`, or `''`. */
  tier: string;
  /** Part of the prompt is at the provider, so that the body's size says little about it. */
  serverState: boolean;
}

const MAX_MODEL_LENGTH = 128;
/**
 * Tools that the provider itself uses: what they find is input as well.
 * https://platform.openai.com/docs/guides/tools
 */
const BUILT_IN =
  /"type"\s*:\s*"(web_search|file_search|code_interpreter|computer|mcp|image_generation)/;

/** Never throws; what follows a fault in the text is not seen. */
export function readRequestBody(text: string): RequestFacts {
  const facts: RequestFacts = {
    model: '',
    maxTokens: null,
    choices: 1,
    stream: false,
    usageAsked: false,
    promptText: 0,
    promptTokens: 0,
    images: 0,
    tier: '',
    serverState: false,
  };
  scanObject(text, (key, _keyStart, start, end, tally) => {
    switch (key) {
      case 'model':
        if (text.charCodeAt(start) === 34) facts.model = modelName(stringAt(text, start, end - 1));
        break;
      case 'messages':
      case 'input':
      case 'prompt':
      case 'instructions':
        facts.promptText += tally.text;
        facts.images += tally.images;
        if (tally.stored > 0) facts.serverState = true;
        // A prompt without any string is a list of token ids.
        if (tally.text === 0) facts.promptTokens += tally.numbers;
        if (key === 'prompt' && text.charCodeAt(start) === 123) facts.serverState = true;
        break;
      case 'tools':
      case 'functions':
      case 'response_format':
      case 'text':
        // Schemas reach the model nearly as written, names of members included.
        facts.promptText += end - start;
        if (key === 'tools' && BUILT_IN.test(text.slice(start, end))) facts.serverState = true;
        break;
      case 'max_tokens':
      case 'max_completion_tokens':
      case 'max_output_tokens': {
        const max = wholeNumber(text, start, end);
        if (max !== null) facts.maxTokens = Math.min(max, facts.maxTokens ?? max);
        break;
      }
      case 'n':
      case 'best_of':
        facts.choices = Math.max(facts.choices, wholeNumber(text, start, end) ?? 1);
        break;
      case 'service_tier':
        if (text.charCodeAt(start) === 34) facts.tier = stringAt(text, start, end - 1);
        break;
      case 'stream':
        facts.stream = text.startsWith('true', start);
        break;
      case 'stream_options':
        facts.usageAsked = asksForUsage(text.slice(start, end));
        break;
      case 'previous_response_id':
      case 'conversation':
        if (!text.startsWith('null', start)) facts.serverState = true;
        break;
      default:
    }
  });
  return facts;
}

/** Whether a `stream_options` value asks for the usage chunk. */
export function asksForUsage(options: string): boolean {
  let asked = false;
  scanObject(options, (key, _keyStart, start) => {
    if (key === 'include_usage') asked = options.startsWith('true', start);
  });
  return asked;
}

/** A model's name as it may appear in a pool's id, else `''`. */
export function modelName(name: string): string {
  return name.length <= MAX_MODEL_LENGTH && /^[\x21-\x7e]+$/.test(name) ? name : '';
}

function wholeNumber(text: string, start: number, end: number): number | null {
  if (end - start > 12) return null;
  const value = Number(text.slice(start, end));
  return Number.isSafeInteger(value) && value >= 0 ? value : null;
}
