/** Walks a condition's syntax tree: which names it uses, and whether it may use them. */
import type { ASTNode } from '@marcbachmann/cel-js';
import { nearest } from '../nearest.ts';
import { FUNCTIONS, isGroup, LOOPS, METHODS, namesIn, PATHS, typeOf, WORDS } from './vocabulary.ts';

/** Something wrong at an offset of the condition's text. */
export interface ConditionFault {
  readonly offset: number;
  readonly message: string;
  readonly suggestion?: string;
}

/** A piece of the text to be written differently before it is compiled. */
export interface Rewrite {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export interface Survey {
  readonly faults: ConditionFault[];
  readonly rewrites: Rewrite[];
  /** Paths whose values are needed, each once. */
  readonly reads: Set<string>;
  /** Paths only asked about with `has()`. */
  readonly asks: Set<string>;
}

/** Names of the flat variables that stand for paths in the compiled text. */
export function flatName(path: string): string {
  return path.replace('.', '_');
}

export function flatPresence(path: string): string {
  return `has_${flatName(path)}`;
}

const COMPUTING = new Set(['+', '-', '*', '/', '%', '==', '!=', '<', '<=', '>', '>=']);

export function survey(root: ASTNode): Survey {
  const found: Survey = { faults: [], rewrites: [], reads: new Set(), asks: new Set() };
  visit(root, found, []);
  return found;
}

function visit(node: ASTNode, found: Survey, bound: readonly string[]): void {
  const fault = (message: string, suggestion?: string, at = node) => {
    const more = suggestion === undefined ? {} : { suggestion };
    found.faults.push({ offset: at.range.start, message, ...more });
  };
  switch (node.op) {
    case 'value':
      if (node.args === null) {
        fault('`null` is not needed: a rule whose values are not known now is skipped', 'has(…)');
      }
      return;
    case 'id':
      if (!bound.includes(node.args)) fault(...unknownName(node.args));
      return;
    case '.':
      member(node, found, bound);
      return;
    case '.?':
    case '[?]':
    case 'map':
      fault('optional access and maps are not part of conditions');
      return;
    case 'call':
      call(node, found, bound);
      return;
    case 'rcall':
      method(node, found, bound);
      return;
    case '!_':
    case '-_':
      visit(node.args, found, bound);
      return;
    case 'list':
    case '?:':
    case '||':
    case '&&':
    case '[]':
      for (const part of node.args) visit(part, found, bound);
      return;
    default:
      checkWords(node.args[0], node.args[1], found);
      checkWords(node.args[1], node.args[0], found);
      if (COMPUTING.has(node.op)) {
        asDouble(node.args[0], node.args[1], found);
        asDouble(node.args[1], node.args[0], found);
      }
      visit(node.args[0], found, bound);
      visit(node.args[1], found, bound);
  }
}

/** Group and name of `group.name`, or `null` for anything else. */
function pathOf(node: ASTNode): { readonly group: string; readonly name: string } | null {
  if (node.op !== '.') return null;
  const [base, name] = node.args;
  return base.op === 'id' && isGroup(base.args) ? { group: base.args, name } : null;
}

function member(node: ASTNode & { op: '.' }, found: Survey, bound: readonly string[]): void {
  const [base, name] = node.args;
  const path = pathOf(node);
  if (path === null || bound.includes(path.group)) {
    if (base.op === 'id' && !bound.includes(base.args)) {
      const suggestion = nearest(`${base.args}.${name}`, PATHS);
      const message = `unknown name \`${base.args}.${name}\``;
      const offset = base.range.start;
      found.faults.push({ offset, message, ...(suggestion === undefined ? {} : { suggestion }) });
      return;
    }
    visit(base, found, bound);
    return;
  }
  const full = `${path.group}.${path.name}`;
  if (typeOf(path.group, path.name) === undefined) {
    found.faults.push(unknownMember(node, path.group, path.name));
    return;
  }
  found.reads.add(full);
  found.rewrites.push({ ...node.range, text: flatName(full) });
}

function unknownMember(node: ASTNode, group: string, name: string): ConditionFault {
  const close = nearest(name, namesIn(group));
  const message = `unknown name \`${group}.${name}\` (known: ${namesIn(group).join(', ')})`;
  const suggestion = close === undefined ? {} : { suggestion: `${group}.${close}` };
  return { offset: node.range.start, message, ...suggestion };
}

function unknownName(name: string): [message: string, suggestion?: string] {
  if (isGroup(name)) {
    return [`\`${name}\` is a group of values`, `${name}.${namesIn(name)[0] ?? ''}`];
  }
  const owner = PATHS.find((path) => path.endsWith(`.${name}`));
  const suggestion = owner ?? nearest(name, PATHS);
  return suggestion === undefined
    ? [`unknown name \`${name}\``]
    : [`unknown name \`${name}\``, suggestion];
}

function call(node: ASTNode & { op: 'call' }, found: Survey, bound: readonly string[]): void {
  const [name, args] = node.args;
  const fault = (message: string, suggestion?: string) => {
    const more = suggestion === undefined ? {} : { suggestion };
    found.faults.push({ offset: node.range.start, message, ...more });
  };
  if (name === 'has') {
    const [asked] = args;
    const path = asked === undefined || args.length !== 1 ? null : pathOf(asked);
    if (asked === undefined || path === null)
      return fault('`has` takes one name', 'has(pool.limit)');
    const full = `${path.group}.${path.name}`;
    if (typeOf(path.group, path.name) === undefined) {
      found.faults.push(unknownMember(asked, path.group, path.name));
      return;
    }
    found.asks.add(full);
    found.rewrites.push({ ...node.range, text: flatPresence(full) });
    return;
  }
  if (name === 'matches') return fault(...noPatterns());
  if (!FUNCTIONS.has(name)) {
    return fault(`unknown function \`${name}\``, nearest(name, [...FUNCTIONS, 'has']));
  }
  for (const arg of args) visit(arg, found, bound);
}

function method(node: ASTNode & { op: 'rcall' }, found: Survey, bound: readonly string[]): void {
  const [name, receiver, args] = node.args;
  const fault = (message: string, suggestion?: string) => {
    const more = suggestion === undefined ? {} : { suggestion };
    found.faults.push({ offset: node.range.start, message, ...more });
  };
  if (name === 'matches') return fault(...noPatterns());
  if (LOOPS.has(name)) {
    const [variable, body] = args;
    if (receiver.op !== 'list') return fault(`\`${name}\` works on a list written out in place`);
    if (variable?.op !== 'id' || body === undefined || args.length !== 2) {
      return fault(`\`${name}\` takes a name and a test`, `["a", "b"].${name}(x, x == agent.id)`);
    }
    if (bound.length > 0) return fault('a loop within a loop is not part of conditions');
    if (isGroup(variable.args)) return fault(`\`${variable.args}\` is taken: name it otherwise`);
    visit(receiver, found, bound);
    visit(body, found, [variable.args]);
    return;
  }
  if (!METHODS.has(name)) {
    return fault(`unknown method \`${name}\``, nearest(name, [...METHODS, ...LOOPS]));
  }
  visit(receiver, found, bound);
  for (const arg of args) visit(arg, found, bound);
}

/** A pattern can take exponential time on text that a client chooses. */
function noPatterns(): [message: string, suggestion: string] {
  return ['`matches` is refused: a pattern can stall the proxy', 'startsWith'];
}

/** `agent.priority == "hihg"` can never hold: refused. */
function checkWords(side: ASTNode, other: ASTNode, found: Survey): void {
  const path = pathOf(side);
  if (path === null) return;
  const words = WORDS.get(`${path.group}.${path.name}`);
  if (words === undefined) return;
  const literals = other.op === 'list' ? other.args : [other];
  for (const literal of literals) {
    if (literal.op !== 'value' || typeof literal.args !== 'string') continue;
    if (words.includes(literal.args)) continue;
    const suggestion = nearest(literal.args, words);
    const message = `\`${path.group}.${path.name}\` is never \`${literal.args}\` (known: ${words.join(', ')})`;
    const more = suggestion === undefined ? {} : { suggestion };
    found.faults.push({ offset: literal.range.start, message, ...more });
  }
}

/** Whole numbers beside a value are written as doubles: the same meaning, three times as fast. */
function asDouble(side: ASTNode, other: ASTNode, found: Survey): void {
  if (side.op !== 'value' || typeof side.args !== 'bigint') return;
  const path = pathOf(other);
  if (path === null || typeOf(path.group, path.name) !== 'double') return;
  if (side.args > BigInt(Number.MAX_SAFE_INTEGER)) return;
  found.rewrites.push({ ...side.range, text: `${side.args}.0` });
}
